#!/usr/bin/env python3
"""A token that is always valid, without the daemon: psycopg and the standard library.

    DATABASE_URL=… TOKEN_ENDPOINT=https://… CLIENT_ID=… CLIENT_SECRET=… \\
        refresh.py WORKSPACE_ID PROVIDER ACTOR_TYPE ACTOR_ID

prints an access token that lives for a minute, and refreshes it if it does not. The database role
needs the capability `refresher` and nothing else. Any number of processes may do this at once,
beside the daemon, too: the database lets one of them ask the provider.

A rotated refresh token is lost if this process dies before the database has it. OAUTH_SPOOL_DIR
and spool.py beside this file keep it. It ignores an ID token in the answer, and errors of a
single provider.
"""

import base64
import contextlib
import http.client
import json
import os
import random
import sys
import time
import urllib.parse

import psycopg
from psycopg.rows import namedtuple_row

CALL = 15  # seconds that the provider gets: to connect, and then to answer
LEASE = CALL + 35  # half a minute, and some seconds
PATIENCE = 600  # seconds for which it tries to store an answer
MAX_ANSWER = 1 << 18

# RFC 6749 section 5.2, OpenID Connect Core 3.1.2.6. Any other error is transient.
KINDS = {
    "invalid_grant": "dead_grant",
    "invalid_client": "client_config",
    "unauthorized_client": "client_config",
    "unsupported_grant_type": "client_config",
    "interaction_required": "needs_interaction",
    "consent_required": "needs_interaction",
    "login_required": "needs_interaction",
    "access_denied": "needs_interaction",
}


class NotRefreshed(Exception):
    """There is no valid token. If the outcome is needs_reauthorization or no_refresh_token, let the
    user connect again. If it is busy or backoff, try later."""

    def __init__(self, outcome, reason):
        super().__init__(f"{outcome}: {reason}" if reason else outcome)
        self.outcome = outcome


class Failed(Exception):
    """The provider gave no token; `kind` is that of oauth_refresh_fail()."""

    def __init__(self, kind, detail, retry_after=None):
        super().__init__(detail)
        self.kind, self.retry_after = kind, retry_after


def boot_time():
    """A clock that goes on while the machine sleeps, and does not jump."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Database:
    """Each statement is a transaction of its own: none is open while the provider is asked."""

    def __init__(self, url):
        self.url, self.connection = url, None

    def row(self, sql, params, patience=0):
        """A statement's row. If the server goes away, it is run again on another connection."""
        end = boot_time() + patience
        while True:
            try:
                if self.connection is None or self.connection.closed:
                    self.connection = psycopg.connect(
                        self.url, autocommit=True, prepare_threshold=None, row_factory=namedtuple_row)
                return self.connection.execute(sql, params).fetchone()
            except psycopg.OperationalError:
                if boot_time() > end:
                    raise
                time.sleep(1)


def fresh_access_token(database, identity, provider, spool=None, min_ttl=60, timeout=30):
    """An access token that lives for min_ttl seconds; or the stored one, if it is valid and another
    caller refreshes it or the provider is not well. None: not connected. `provider` is
    (token endpoint, client id, client secret)."""
    end = boot_time() + timeout
    while True:
        attempt = begin(database, identity, min_ttl)
        if attempt.outcome == "not_connected":
            return None
        if attempt.outcome == "granted":
            token = refresh(database, identity, provider, attempt, spool)
        else:
            token, = database.row("SELECT oauth_access_token(%s, %s, %s, %s, '0')", identity)
        if token is not None:
            return token
        if attempt.outcome not in ("granted", "busy") or boot_time() > end:
            raise NotRefreshed(attempt.outcome, attempt.reason)
        time.sleep(random.uniform(0.1, 0.3))


def begin(database, identity, min_ttl):
    """The answer of oauth_refresh_begin(), with the time on our clock at which the lease ends."""
    # Our clock is read first, so that what is left may be too little, and never too much.
    now = boot_time()
    return database.row(
        "SELECT outcome, fence, refresh_token, spool_key, reason,"
        " %s + extract(epoch FROM retry_at - clock_timestamp())::float8 AS ends"
        " FROM oauth_refresh_begin(%s, %s, %s, %s, make_interval(secs => %s), make_interval(secs => %s))",
        [now, *identity, min_ttl, LEASE])


def refresh(database, identity, provider, attempt, spool):
    """The new access token, or None if there is none or another one is stored."""
    fence = [*identity, attempt.fence]
    try:
        if spool:
            spool.reserve(attempt.fence)
        grant, sent = ask(provider, attempt)
    except (Failed, OSError) as error:
        if spool:
            spool.remove(attempt.fence)
        failed = error if isinstance(error, Failed) else Failed("not_sent", f"the spool: {error.strerror}")
        database.row("SELECT oauth_refresh_fail(%s, %s, %s, %s, %s, %s, %s, make_interval(secs => %s))",
                     [*fence, failed.kind, str(failed), failed.retry_after], PATIENCE)
        return None
    if spool:
        spool.write(identity, attempt, grant, sent)
    expires_in = grant["expires_in"]
    if expires_in is not None:
        expires_in = max(0, int(expires_in - (boot_time() - sent)))
    outcome, = database.row("SELECT oauth_refresh_commit(%s, %s, %s, %s, %s, %s, %s, %s, %s)", [
        *fence, grant["access_token"], grant["refresh_token"], expires_in, grant["scopes"]], PATIENCE)
    if outcome == "superseded":
        # Somebody stored another access token, or a later attempt has begun. If the refresh token
        # that we spent is still the stored one, the new one is needed all the same.
        sealed, = database.row("SELECT fernet_encrypt(%s, %s)", [sealable(grant, sent), attempt.spool_key], PATIENCE)
        outcome = replay(database, fence, sealed)
    if spool and outcome != "busy":
        spool.remove(attempt.fence)
    return grant["access_token"] if outcome == "committed" else None


def replay(database, fence, sealed):
    """Hands an answer in that was kept; waits for a later attempt to end."""
    end = boot_time() + PATIENCE
    while True:
        outcome, = database.row("SELECT oauth_refresh_replay(%s, %s, %s, %s, %s, %s)", [*fence, sealed], PATIENCE)
        if outcome != "busy" or boot_time() > end:
            return outcome
        time.sleep(1)


def sealable(grant, sent):
    """The grant as oauth_refresh_replay() reads it."""
    members = {name: grant[name] for name in ("access_token", "refresh_token", "scopes") if grant[name] is not None}
    if grant["expires_in"] is not None:
        members["expires_at"] = int(time.time() - (boot_time() - sent) + grant["expires_in"])
    return json.dumps(members)


def ask(provider, attempt):
    """RFC 6749 section 6: the grant, and when it was asked for. Raises Failed."""
    endpoint, client_id, client_secret = provider
    url = urllib.parse.urlsplit(endpoint)
    connection_type = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    basic = ":".join(map(urllib.parse.quote_plus, (client_id, client_secret)))
    headers = {"Authorization": "Basic " + base64.b64encode(basic.encode()).decode(),
               "Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    form = {"grant_type": "refresh_token", "refresh_token": attempt.refresh_token}
    target = (url.path or "/") + ("?" + url.query if url.query else "")
    with contextlib.closing(connection_type(url.netloc, timeout=CALL)) as connection:
        try:
            connection.connect()
        except OSError as error:
            raise Failed("transient", f"no connection: {error}") from None
        # This process may have been stopped since, and another one have refreshed. The fence
        # keeps the row safe then, but only this the refresh token at the provider.
        sent = boot_time()
        if attempt.ends - sent < CALL:
            raise Failed("not_sent", "the lease is nearly over")
        try:
            connection.request("POST", target, urllib.parse.urlencode(form), headers)
            response = connection.getresponse()
            return read_answer(response, response.read(MAX_ANSWER)), sent
        except (OSError, http.client.HTTPException) as error:
            # The provider may have rotated the refresh token, and we do not know.
            raise Failed("no_answer", type(error).__name__) from None


def read_answer(response, text):
    """The grant. Raises Failed."""
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        answer = {}

    def member(name):
        return answer[name] if isinstance(answer.get(name), str) and answer[name] else None

    if response.status == 200 and member("access_token"):
        try:
            expires_in = min(max(0, int(answer["expires_in"])), 10 * 365 * 86400)
        except (KeyError, TypeError, ValueError, OverflowError):
            expires_in = None
        return {"access_token": member("access_token"), "refresh_token": member("refresh_token"),
                "scopes": member("scope"), "expires_in": expires_in}
    error = member("error")
    detail = f"HTTP {response.status}, {error or 'no error code'}"
    wait = response.headers.get("Retry-After", "")
    if response.status in (408, 425, 429) or response.status >= 500:
        raise Failed("transient", detail, int(wait) if wait.isdecimal() else None)
    if error == "invalid_grant" and member("suberror") not in (None, "bad_token", "token_expired"):
        raise Failed("needs_interaction", f"{detail}: {member('suberror')}")  # Entra
    if error in KINDS:
        raise Failed(KINDS[error], detail)
    # All is well, it says, but there is no token: the old refresh token may be spent.
    raise Failed("no_answer" if response.status < 300 else "transient", detail)


def main():
    env = os.environ
    database = Database(env["DATABASE_URL"])
    spool = None
    if "OAUTH_SPOOL_DIR" in env:
        from spool import Spool

        spool = Spool(env["OAUTH_SPOOL_DIR"], database)
        spool.replay(database)
    try:
        token = fresh_access_token(
            database, sys.argv[1:5], (env["TOKEN_ENDPOINT"], env["CLIENT_ID"], env["CLIENT_SECRET"]), spool)
    except NotRefreshed as error:
        sys.exit(f"refresh.py: {error}")
    if token is None:
        sys.exit("refresh.py: not connected")
    print(token)


if __name__ == "__main__":
    main()
