"""Each step of a flow, as the daemon and the application call it in the database."""

import hashlib

from support.tokens import identity

PUBLISH = "SELECT oauth_tokens_internal.publish_settings('https://oauth.example.com', '600 s', '{}', '{google}')"
BEGIN = """SELECT state, browser_secret, code_verifier, nonce
    FROM oauth_tokens_internal.flow_begin(%s, %s, 'https://issuer.example',
        'https://issuer.example/token', 'client')"""
CLAIM = "SELECT code_verifier, nonce FROM oauth_tokens_internal.flow_claim(%s, %s, 'google')"
STORE = "SELECT outcome, flow FROM oauth_tokens_internal.flow_store(%s, %s, %s, %s, %s, %s)"
CONFIRM = "SELECT oauth_flow_confirm(%s, %s, %s, %s, %s)"
DETAILS = '{"account_id": "1", "issuer": "https://issuer.example", "client_id": "client"}'


def sha(secret):
    return hashlib.sha256(secret.encode()).digest()


def ticket(connection, whose=identity(), confirm=False):
    url = connection.execute(
        "SELECT oauth_authorize_url(%s, %s, %s, %s, return_to => '/', confirm => %s)",
        (*whose, confirm),
    ).fetchone()[0]
    return url.rpartition("=")[2]


def begin(connection, of_ticket, provider="google"):
    return connection.execute(BEGIN, (sha(of_ticket), provider)).fetchone()


def claim(connection, attempt):
    return connection.execute(CLAIM, (sha(attempt[0]), sha(attempt[1]))).fetchone()


def keep(connection, of_ticket, access="access", refresh="refresh", details=DETAILS):
    return connection.execute(
        STORE, (sha(of_ticket), access, refresh, 3600, "mail", details)
    ).fetchone()


def confirm(connection, code, whose=identity()):
    return connection.execute(CONFIRM, (*whose, code)).fetchone()[0]
