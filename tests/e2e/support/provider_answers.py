"""What providers answer, by their own documentation, and the row that it means.

`SHIPPED` are the blocks of packaging/oauth-sidecar.toml.sample by name, `OTHERS` blocks
that only stand here: each is there for something that no shipped one does. Tokens are
shortened, times are of the moment; everything else is as documented.
"""

import time
import tomllib
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from support.harness import CHECKOUT

SAMPLE = CHECKOUT / "packaging/oauth-sidecar.toml.sample"


def sample_blocks():
    """The providers of the sample file, with the # taken away."""
    lines = SAMPLE.read_text("utf-8").split("# --- Providers -")[1].split("# --- API tokens")[0].splitlines()[1:]
    return tomllib.loads("\n".join(
        line.removeprefix("#") for line in lines if not line.startswith("# ") and line != "#"
    ))["providers"]


@dataclass
class Row:
    """What is to be stored. `expires_in`: seconds, None for unknown; `account`: id and label."""

    access: str
    refresh: str = None
    scopes: str = None
    expires_in: int = None
    account: tuple = (None, None)
    extra: dict = field(default_factory=dict)
    warnings: tuple = ()  # how each line begins that the log must have


@dataclass
class Documented:
    """One provider. `token` and `refresh` are (answer, Row); an answer is a dict, text, or a
    function of nothing that makes one. `callback` are parameters beside code and state, `claims`
    those of the ID token, `header` its own. `refused` are parameters of the callback with the
    oauth_error that follows, `errors` (status, answer) of the token endpoint with theirs.
    `asks` must be in the authorization request, as it stands in the query.
    """

    token: tuple
    refresh: tuple = None
    callback: dict = field(default_factory=dict)
    claims: dict = None
    header: dict = None
    refused: tuple = ()
    errors: tuple = ()
    asks: tuple = ()
    sends: dict = field(default_factory=dict)  # fields of the token request
    form: bool = False  # answers a form
    block: dict = None


def iso8601(seconds):
    at = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


DENIED = ({"error": "access_denied", "error_description": "The user said no"}, "access_denied")
INVALID_GRANT = (400, {"error": "invalid_grant", "error_description": "code expired"}, "provider_error")
TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
DAY = 24 * 3600

SHIPPED = {
    "google": Documented(
        token=({"access_token": "1/fFAGRNJru1FTz70BzhT3Zg", "expires_in": 3920, "token_type": "Bearer",
                "scope": "https://www.googleapis.com/auth/calendar.readonly openid"
                         " https://www.googleapis.com/auth/userinfo.email",
                "refresh_token": "1//xEoDL4iW3cxlI7yDbSRFYNG01kVKM2C-259HOF2aQbI", "id_token": "ID"},
               Row("1/fFAGRNJru1FTz70BzhT3Zg", "1//xEoDL4iW3cxlI7yDbSRFYNG01kVKM2C-259HOF2aQbI",
                   "https://www.googleapis.com/auth/calendar.readonly openid"
                   " https://www.googleapis.com/auth/userinfo.email", 3920,
                   ("110169484474386276334", "alice@example.com"))),
        refresh=({"access_token": "1/refreshed", "expires_in": 3599, "token_type": "Bearer", "id_token": "ID",
                  "scope": "openid https://www.googleapis.com/auth/userinfo.email"},
                 Row("1/refreshed", None, "openid https://www.googleapis.com/auth/userinfo.email", 3599,
                     ("110169484474386276334", "alice@example.com"))),
        callback={"iss": "https://accounts.google.com", "authuser": "0", "prompt": "consent", "hd": "example.com",
                  "scope": "email openid"},
        claims={"iss": "https://accounts.google.com", "sub": "110169484474386276334",
                "email": "alice@example.com", "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q"},
        refused=(DENIED, ({"error": "admin_policy_enforced"}, "provider_error")),
        errors=((401, {"error": "invalid_client", "error_description": "Unauthorized"}, "provider_error"),
                INVALID_GRANT),
        asks=("access_type=offline", "prompt=consent"),
    ),
    "microsoft": Documented(
        token=({"token_type": "Bearer", "scope": "User.Read Calendars.Read profile openid email",
                "expires_in": 3736, "ext_expires_in": 3736, "access_token": "eyJ0eXAi",
                "refresh_token": "AwABAAAAvPM1KaPlrEqdFSBzjqfTGAMxZGUTdM0t4B4", "id_token": "ID"},
               Row("eyJ0eXAi", "AwABAAAAvPM1KaPlrEqdFSBzjqfTGAMxZGUTdM0t4B4",
                   "User.Read Calendars.Read profile openid email", 3736, ("AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSa", None))),
        refresh=({"access_token": "eyJ0eXAi2", "token_type": "Bearer", "expires_in": 3599,
                  "scope": "User.Read", "refresh_token": "AwABAAAAvPM1KaPlrEqdFSBzjqfTGAMxZGUTdM0t4B5",
                  "id_token": "ID"},
                 Row("eyJ0eXAi2", "AwABAAAAvPM1KaPlrEqdFSBzjqfTGAMxZGUTdM0t4B5", "User.Read", 3599,
                     ("AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSa", None))),
        callback={"session_state": "7B29111D-C220-4263-99AB-6F6E135D75EF"},
        claims={"iss": f"https://login.microsoftonline.com/{TENANT}/v2.0", "tid": TENANT, "ver": "2.0",
                "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSa", "email": None, "preferred_username": "a@b.example"},
        refused=(DENIED,),
        errors=((401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret",
                       "error_codes": [7000215], "timestamp": "2026-11-27 09:31:23Z",
                       "trace_id": "255d1aef", "correlation_id": "fb3d2015"}, "provider_error"),),
        asks=("scope=User.Read%20Calendars.Read%20openid%20email%20offline_access",),
    ),
    "github": Documented(
        token=({"access_token": "gho_16C7e42F292c6912E7710c838347Ae178B4a", "scope": "repo,read:user",
                "token_type": "bearer"},
               Row("gho_16C7e42F292c6912E7710c838347Ae178B4a", None, "repo read:user")),
        # of a GitHub App
        refresh=({"access_token": "ghu_16C7", "expires_in": 28800, "refresh_token": "ghr_1B4a2e77",
                  "refresh_token_expires_in": 15811200, "scope": "", "token_type": "bearer"},
                 Row("ghu_16C7", "ghr_1B4a2e77", "", 28800)),
        callback={"iss": "https://github.com/login/oauth"},
        refused=(({"error": "access_denied", "error_description": "The user has denied your application access.",
                   "error_uri": "https://docs.github.com/apps", "iss": "https://github.com/login/oauth"},
                  "access_denied"),
                 ({"error": "redirect_uri_mismatch", "iss": "https://github.com/login/oauth"}, "provider_error")),
        errors=((200, {"error": "bad_verification_code", "error_uri": "https://docs.github.com/apps",
                       "error_description": "The code passed is incorrect or expired."}, "provider_error"),
                (200, {"error": "incorrect_client_credentials"}, "provider_error")),
        asks=("scope=repo%2Cread%3Auser",),
    ),
    "gitlab": Documented(
        token=({"access_token": "de6780bc506a0446309bd9362820ba8aed28aa506c71eedbe1c5c4f9dd350e54",
                "token_type": "Bearer", "expires_in": 7200, "scope": "openid email read_api",
                "refresh_token": "8257e65c97202ed1726cf9571600918f3bffb2544b26e00a61df9897668c33a1",
                "created_at": 1607635748, "id_token": "ID"},
               Row("de6780bc506a0446309bd9362820ba8aed28aa506c71eedbe1c5c4f9dd350e54",
                   "8257e65c97202ed1726cf9571600918f3bffb2544b26e00a61df9897668c33a1",
                   "openid email read_api", 7200, ("42", "alice@example.com"))),
        claims={"iss": "https://gitlab.com", "sub": "42", "email": "alice@example.com"},
        refused=(DENIED,), errors=(INVALID_GRANT,),
    ),
    "slack": Documented(
        token=({"ok": True, "access_token": "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcBrzbqgy",
                "token_type": "bot", "scope": "commands,incoming-webhook", "bot_user_id": "U0KRQLJ9H",
                "app_id": "A0KRD7HC3", "team": {"name": "Slack Softball Team", "id": "T9TK3CUKW"},
                "enterprise": {"name": "slack-sports", "id": "E12345678"},
                "authed_user": {"id": "U1234", "scope": "chat:write", "access_token": "xoxp-1234",
                                "token_type": "user"}},
               Row("xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcBrzbqgy", None, "commands incoming-webhook", None,
                   ("T9TK3CUKW", "Slack Softball Team"),
                   {"team.id": "T9TK3CUKW", "team.name": "Slack Softball Team", "bot_user_id": "U0KRQLJ9H"})),
        refresh=({"ok": True, "access_token": "xoxe.xoxb-1-x", "expires_in": 43200, "refresh_token": "xoxe-1-y",
                  "token_type": "bot", "scope": "commands", "bot_user_id": "U0KRQLJ9H", "app_id": "A0KRD7HC3",
                  "team": {"name": "Slack Softball Team", "id": "T9TK3CUKW"}, "enterprise": None},
                 Row("xoxe.xoxb-1-x", "xoxe-1-y", "commands", 43200, ("T9TK3CUKW", "Slack Softball Team"),
                     {"team.id": "T9TK3CUKW", "team.name": "Slack Softball Team", "bot_user_id": "U0KRQLJ9H"})),
        refused=(({"error": "access_denied"}, "access_denied"),),
        errors=((200, {"ok": False, "error": "invalid_code"}, "provider_error"),),
    ),
    "linkedin": Documented(
        token=({"access_token": "AQUvlL_DYEzvT2wz1QJiEPeLioeA", "expires_in": 5184000,
                "refresh_token": "AQWAft_WjYZKwuWXLC5hQlghgTam-tuT8CvFej9-XxGyqeER_7jTr8HmjiGjqil13i7gMFjyDxh1g7C",
                "refresh_token_expires_in": 31536000, "scope": "w_member_social,r_basicprofile"},
               Row("AQUvlL_DYEzvT2wz1QJiEPeLioeA",
                   "AQWAft_WjYZKwuWXLC5hQlghgTam-tuT8CvFej9-XxGyqeER_7jTr8HmjiGjqil13i7gMFjyDxh1g7C",
                   "w_member_social r_basicprofile", 5184000)),
        refresh=({"access_token": "BBBBBBBBBBBBBBB", "expires_in": 5183999, "refresh_token": "AQWAft_new",
                  "refresh_token_expires_in": 439200},
                 Row("BBBBBBBBBBBBBBB", "AQWAft_new", "w_member_social", 5183999)),
        refused=(({"error": "unauthorized_scope_error"}, "provider_error"),),
        errors=((401, {"error": "invalid_client", "error_description": "Client authentication failed"},
                 "provider_error"),),
    ),
    "salesforce": Documented(
        token=({"access_token": "00DB0000000TfcR!AQQAQFhoK8vTMg", "refresh_token": "5Aep861eN13lE5sKl0",
                "signature": "CMJ4l+CCaPQiKjoOEwEig9H4wqhpuLSk4J2urAe+fVg=", "scope": "refresh_token api",
                "instance_url": "https://example.my.salesforce.com",
                "id": "https://login.salesforce.com/id/00DB0000000TfcRMAS/005B0000005Bk90IAC",
                "token_type": "Bearer", "issued_at": "1558553873237",
                "api_instance_url": "https://api.salesforce.com"},
               Row("00DB0000000TfcR!AQQAQFhoK8vTMg", "5Aep861eN13lE5sKl0", "refresh_token api", 7200,
                   ("https://login.salesforce.com/id/00DB0000000TfcRMAS/005B0000005Bk90IAC", None),
                   {"instance_url": "https://example.my.salesforce.com"})),
        refused=(({"error": "access_denied", "error_description": "end-user denied authorization"},
                  "access_denied"),),
        errors=((400, {"error": "invalid_grant", "error_description": "expired authorization code"},
                 "provider_error"),),
    ),
    "quickbooks": Documented(
        token=({"token_type": "bearer", "expires_in": 3600, "refresh_token": "Q311488394272qbajGfLBwGmVsbF6",
                "x_refresh_token_expires_in": 8726400, "access_token": "eJlbmMiOiJBMTI4Q0JDLUhTMjU2Iiwi"},
               Row("eJlbmMiOiJBMTI4Q0JDLUhTMjU2Iiwi", "Q311488394272qbajGfLBwGmVsbF6",
                   "com.intuit.quickbooks.accounting", 3600, extra={"realmId": "4620816365179422850"})),
        callback={"realmId": "4620816365179422850"},
        refused=(DENIED,), errors=(INVALID_GRANT,),
    ),
    "notion": Documented(
        token=({"access_token": "secret_e202e8c9-0990-40af", "token_type": "bearer", "refresh_token": "nrt_4991090",
                "bot_id": "b3414d65-9224-4ca7-8ffa-cc9d877d3601", "workspace_icon": None,
                "workspace_name": "Ada's Notion", "workspace_id": "c36hxfr7-3282-41bb-864a-bb9d9fec36ab",
                "owner": {"type": "user", "user": {"object": "user", "id": "e5af4d10", "name": "Ada"}},
                "duplicated_template_id": None, "request_id": "ed8db4ab"},
               Row("secret_e202e8c9-0990-40af", "nrt_4991090", None, None,
                   ("c36hxfr7-3282-41bb-864a-bb9d9fec36ab", "Ada's Notion"),
                   {"workspace_id": "c36hxfr7-3282-41bb-864a-bb9d9fec36ab",
                    "bot_id": "b3414d65-9224-4ca7-8ffa-cc9d877d3601"})),
        refused=(DENIED,),
        errors=((401, {"error": "invalid_client", "request_id": "ed8db4ab"}, "provider_error"),),
        asks=("owner=user",), sends={"grant_type": "authorization_code"},
    ),
    "atlassian": Documented(
        token=({"access_token": "eyJraWQi", "expires_in": 3600, "token_type": "Bearer",
                "refresh_token": "eyJhbGciOiJSUzI1NiJ9", "scope": "read:jira-work offline_access"},
               Row("eyJraWQi", "eyJhbGciOiJSUzI1NiJ9", "read:jira-work offline_access", 3600)),
        refused=(({"error": "access_denied", "error_description": "User did not authorize the request"},
                  "access_denied"),),
        errors=((403, {"error": "invalid_grant", "error_description": "Unknown or invalid refresh token."},
                 "provider_error"),),
        asks=("audience=api.atlassian.com", "prompt=consent"),
    ),
    "dropbox": Documented(
        token=({"access_token": "sl.AbX9y6Fe3AuH5o66-gmJpR032jwAwQPIVVzWXZNkdzcYT02akC2de219dZi6gxYPVnYPrpvISRSf",
                "expires_in": 14400, "token_type": "bearer", "scope": "account_info.read files.content.read",
                "account_id": "dbid:AAH4f99T0taONIb-OurWxbNQ6ywGRopQngc", "team_id": "dbtid:AAFdgehTzw7WlXhZJsbGC",
                "refresh_token": "nBiM85CZALsAAAAAAAAAAQXHBoNpNutK4ngsXHsqW4iGz9tisb3JyjGqikMJIYbd",
                "uid": "12345"},
               Row("sl.AbX9y6Fe3AuH5o66-gmJpR032jwAwQPIVVzWXZNkdzcYT02akC2de219dZi6gxYPVnYPrpvISRSf",
                   "nBiM85CZALsAAAAAAAAAAQXHBoNpNutK4ngsXHsqW4iGz9tisb3JyjGqikMJIYbd",
                   "account_info.read files.content.read", 14400,
                   ("dbid:AAH4f99T0taONIb-OurWxbNQ6ywGRopQngc", None))),
        refresh=({"access_token": "sl.next", "expires_in": 14400, "token_type": "bearer"},
                 Row("sl.next", None, "account_info.read files.content.read", 14400)),
        refused=(DENIED,), errors=(INVALID_GRANT,), asks=("token_access_type=offline",),
    ),
    "hubspot": Documented(
        token=({"token_type": "bearer", "refresh_token": "na1-ab12-cd34-ef56-gh78-abcdef123456", "hub_id": 62515,
                "scopes": ["oauth", "crm.objects.contacts.write", "crm.objects.contacts.read"],
                "access_token": "AAA1234-TOKEN", "expires_in": 1800},
               Row("AAA1234-TOKEN", "na1-ab12-cd34-ef56-gh78-abcdef123456",
                   "oauth crm.objects.contacts.write crm.objects.contacts.read", 1800, ("62515", None),
                   {"hub_id": 62515})),
        refused=(DENIED,),
        errors=((400, {"status": "BAD_AUTH_CODE", "message": "missing or unknown auth code",
                       "correlationId": "aeb5f871"}, "provider_error"),),
        sends={"client_id": "id-of-hubspot"},
    ),
    "zoom": Documented(
        token=({"access_token": "eyJhbGciOiJIUzUxMiIs", "token_type": "bearer", "refresh_token": "eyJzdiI6IjAwMDAwMSIs",
                "expires_in": 3599, "scope": "user:read:user", "api_url": "https://api.zoom.us"},
               Row("eyJhbGciOiJIUzUxMiIs", "eyJzdiI6IjAwMDAwMSIs", "user:read:user", 3599,
                   extra={"api_url": "https://api.zoom.us"})),
        errors=((400, {"reason": "Invalid authorization code", "error": "invalid_request"}, "provider_error"),),
    ),
    "strava": Documented(
        token=(lambda: {"token_type": "Bearer", "expires_at": int(time.time()) + 21600, "expires_in": 21600,
                        "refresh_token": "e5n567567", "access_token": "a4b945687g",
                        "athlete": {"id": 227615, "username": "m", "firstname": "Marianne"}},
               Row("a4b945687g", "e5n567567", "read read_all", 21600, ("227615", None))),
        refresh=(lambda: {"token_type": "Bearer", "access_token": "a9b723", "refresh_token": "b5c569",
                          "expires_at": int(time.time()) + 20566, "expires_in": 20566},
                 Row("a9b723", "b5c569", "read read_all", 20566)),
        callback={"scope": "read,read_all"},
        refused=(({"error": "access_denied"}, "access_denied"),),
        errors=((400, {"message": "Bad Request", "errors": [{"resource": "AuthorizationCode", "field": "",
                                                              "code": "expired"}]}, "provider_error"),),
        asks=("scope=read%2Cactivity%3Aread_all",),
    ),
    "square": Documented(
        token=(lambda: {"access_token": "EAAAEFcQ81dNRDf2QcVu", "token_type": "bearer", "expires_at": iso8601(30 * DAY),
                        "merchant_id": "MERCHANT_ID", "refresh_token": "EQAAEHLbZDZCCIfr", "short_lived": False},
               Row("EAAAEFcQ81dNRDf2QcVu", "EQAAEHLbZDZCCIfr", "MERCHANT_PROFILE_READ PAYMENTS_READ", 30 * DAY,
                   ("MERCHANT_ID", None), {"merchant_id": "MERCHANT_ID"})),
        refused=(({"error": "access_denied", "error_description": "user_denied"}, "access_denied"),),
        errors=((401, {"message": "Not Authorized", "type": "service.not_authorized"}, "provider_error"),),
        asks=("session=false",), sends={"client_id": "id-of-square", "client_secret": "secret-of-square"},
    ),
    "tiktok": Documented(
        token=({"access_token": "act.example12345Example12345Example", "expires_in": 86400,
                "open_id": "afd97af1-b87b-48b9-ac98-410aghda5344", "refresh_expires_in": 31536000,
                "refresh_token": "rft.example12345Example12345Example",
                "scope": "user.info.basic,video.list", "token_type": "Bearer"},
               Row("act.example12345Example12345Example", "rft.example12345Example12345Example",
                   "user.info.basic video.list", 86400, ("afd97af1-b87b-48b9-ac98-410aghda5344", None))),
        callback={"scopes": "user.info.basic,video.list"},
        refused=(DENIED,),
        errors=((200, {"error": "invalid_request", "error_description": "The request parameters are malformed.",
                       "log_id": "202206221854370101130062072500FFA2"}, "provider_error"),),
        asks=("client_key=id-of-tiktok", "scope=user.info.basic%2Cvideo.list"),
        sends={"client_key": "id-of-tiktok", "client_secret": "secret-of-tiktok", "client_id": None},
    ),
    "okta": Documented(
        token=({"access_token": "eyJhbGciOiJSUzI1NiJ9", "token_type": "Bearer", "expires_in": 3600,
                "scope": "openid email offline_access", "refresh_token": "a9VpZDRCeFh3Nkk2VdY", "id_token": "ID"},
               Row("eyJhbGciOiJSUzI1NiJ9", "a9VpZDRCeFh3Nkk2VdY", "openid email offline_access", 3600,
                   ("00uid4BxXw6I6TV4m0g3", "alice@example.com"))),
        claims={"iss": "https://example.okta.com/oauth2/default", "sub": "00uid4BxXw6I6TV4m0g3", "ver": 1,
                "email": "alice@example.com", "amr": ["pwd"], "idp": "00oid1r"},
        refused=(({"error": "access_denied", "error_description": "The resource owner denied the request."},
                  "access_denied"), ({"error": "consent_required"}, "provider_error")),
        errors=((401, {"error": "invalid_client", "error_description": "No client credentials found."},
                 "provider_error"),),
    ),
}

OTHERS = {
    # Tokens that never expire.
    "mailchimp": Documented(
        block={"token_auth": "post"},
        token=({"access_token": "5c6ccc561059aa386da9d112215bae55", "expires_in": 0, "scope": None},
               Row("5c6ccc561059aa386da9d112215bae55", warnings=("expires_in is zero",))),
    ),
    "vk": Documented(
        block={"token_auth": "post", "account": "user_id", "scopes": ["offline"]},
        token=({"access_token": "533bacf01e11f55b536a565b57531ac114461ae8736d6506a3", "expires_in": 0,
                "user_id": 66748},
               Row("533bacf01e11f55b536a565b57531ac114461ae8736d6506a3", None, "offline", None, ("66748", None),
                   warnings=("expires_in is zero",))),
    ),
    # A literal plus sign between scopes.
    "typeform": Documented(
        block={"token_auth": "post", "pkce": False, "scopes": ["accounts:read", "offline"], "scope_separator": "+"},
        token=({"access_token": "943af478d3ff3d4d760020c11af102b79c440513", "expires_in": 604800,
                "refresh_token": "b59cd2c6fc6e4d0a", "token_type": "bearer"},
               Row("943af478d3ff3d4d760020c11af102b79c440513", "b59cd2c6fc6e4d0a", "accounts:read offline", 604800)),
        asks=("scope=accounts%3Aread+offline",),
    ),
    "twitch": Documented(
        block={"token_auth": "post", "scopes": ["user:read:email"]},
        token=({"access_token": "rfx2uswqe8l4g1mkagrvg5tv0ks3", "expires_in": 14124,
                "refresh_token": "5b93chm6hdve3mycz05zfzatkfdenfspp1h1ar2xxdalen01",
                "scope": ["user:read:email", "channel:moderate"], "token_type": "bearer"},
               Row("rfx2uswqe8l4g1mkagrvg5tv0ks3", "5b93chm6hdve3mycz05zfzatkfdenfspp1h1ar2xxdalen01",
                   "user:read:email channel:moderate", 14124)),
        errors=((400, {"status": 400, "message": "Invalid authorization code"}, "provider_error"),),
    ),
    "withings": Documented(
        block={"token_auth": "post", "scopes": ["user.metrics"], "access_token_path": "body.access_token",
               "scope_separator": ",", "account": "body.userid", "token_params": {"action": "requesttoken"}},
        token=({"status": 0, "body": {"userid": "363", "access_token": "a075f8c14fb8df40", "expires_in": 10800,
                                      "refresh_token": "f9vx", "scope": "user.info,user.metrics",
                                      "csrf_token": "PACnnxwHTaBQOzF7bQqwFUUotIuvtzSM", "token_type": "Bearer"}},
               Row("a075f8c14fb8df40", "f9vx", "user.info user.metrics", 10800, ("363", None))),
        errors=((200, {"status": 503, "error": "Invalid Params: invalid code"}, "provider_error"),),
        sends={"action": "requesttoken"},
    ),
    "facebook": Documented(
        block={"token_auth": "post", "scopes": ["email"]},
        token=({"access_token": "EAAJjmJ", "token_type": "bearer", "expires_in": 5183944},
               Row("EAAJjmJ", None, "email public_profile", 5183944)),
        callback={"granted_scopes": "email,public_profile", "denied_scopes": ""},
        refused=(({"error": "access_denied", "error_reason": "user_denied", "error_code": "200",
                   "error_description": "Permissions error"}, "access_denied"),),
        errors=((400, {"error": {"message": "This authorization code has been used.", "type": "OAuthException",
                                 "code": 100, "error_subcode": 36009, "fbtrace_id": "A"}}, "provider_error"),),
    ),
    # A form, and `expires`.
    "stackexchange": Documented(
        block={"token_auth": "post", "scopes": ["read_inbox"]}, form=True,
        token=("access_token=hBGQ5sPAZA8lNVPaSyo2ow))&expires=86400",
               Row("hBGQ5sPAZA8lNVPaSyo2ow))", None, "read_inbox", 86400)),
        errors=((400, {"error": {"type": "invalid_request"}}, "provider_error"),),
    ),
    # ID tokens that are not OpenID Connect's own.
    "linkedin_openid": Documented(
        block={"issuer": "https://www.linkedin.com/oauth", "token_auth": "post", "pkce": False,
               "scopes": ["openid", "profile", "email"], "id_token_allow": ["no_nonce"]},
        token=({"access_token": "AQXNnd2kXITHELmWblJigbHEuoFdfRhOwGA0QNnumBI8XOVSs0HtOHEU",
                "expires_in": 5184000, "scope": "email,openid,profile", "token_type": "Bearer", "id_token": "ID"},
               Row("AQXNnd2kXITHELmWblJigbHEuoFdfRhOwGA0QNnumBI8XOVSs0HtOHEU", None, "email openid profile",
                   5184000, ("782bbtaQ", "alice@example.com"))),
        claims={"iss": "https://www.linkedin.com/oauth", "sub": "782bbtaQ", "nonce": None,
                "email": "alice@example.com", "email_verified": "true"},
    ),
    "line": Documented(
        block={"issuer": "https://access.line.me", "token_auth": "post", "scopes": ["profile", "openid"],
               "id_token_allow": ["hs256"]},
        token=({"access_token": "bNl4YEFPI/hjFWhTqexp4MuEw5YPs", "expires_in": 2592000, "id_token": "ID",
                "refresh_token": "Aa1FdeggRhTnPNNpxr8p", "scope": "profile openid", "token_type": "Bearer"},
               Row("bNl4YEFPI/hjFWhTqexp4MuEw5YPs", "Aa1FdeggRhTnPNNpxr8p", "profile openid", 2592000,
                   ("U1234567890abcdef1234567890abcdef", None))),
        claims={"iss": "https://access.line.me", "sub": "U1234567890abcdef1234567890abcdef", "email": None},
        header={"alg": "HS256"},
    ),
    "numeric_sub": Documented(
        block={"issuer": "https://op.example", "scopes": ["openid"], "id_token_allow": ["numeric_sub"]},
        token=({"access_token": "at", "expires_in": 60, "id_token": "ID"},
               Row("at", None, "openid", 60, ("9007199254740993", None))),
        claims={"iss": "https://op.example", "sub": 9007199254740993, "email": None},
    ),
    # camelCase below a path, and a unix time in milliseconds.
    "camel_case": Documented(
        block={"access_token_path": "data.0.accessToken", "expires_path": "data.0.validTo",
               "expires_format": "unix_milliseconds", "scope_path": "data.0.rights.names",
               "account": "data.0.owner"},
        token=(lambda: {"data": [{"accessToken": "at", "refreshToken": "rt", "owner": "o",
                                  "validTo": int(time.time() + 900) * 1000, "rights": {"names": ["a", "b"]}}]},
               Row("at", "rt", "a b", 900, ("o", None))),
    ),
    "two_places": Documented(
        block={"access_token_path": "tokens.access.value", "refresh_token_path": "tokens.refresh.value",
               "expires_path": "tokens.access.ttl", "expires_format": "milliseconds", "scopes": ["a"]},
        token=({"tokens": {"access": {"value": "at", "ttl": 900000}, "refresh": {"value": "rt", "ttl": 1}}},
               Row("at", "rt", "a", 900)),
    ),
    # What is left out is said.
    "unread": Documented(
        block={"scopes": ["a"]},
        token=({"access_token": "at", "grant": {"refresh_token": "rt", "expires_in": 60}},
               Row("at", None, "a", warnings=("grant.refresh_token looks like a refresh token",
                                              "grant.expires_in looks like an expiry"))),
    ),
    "azure_v1": Documented(
        block={"token_auth": "post", "scopes": ["a"]},
        token=(lambda: {"token_type": "Bearer", "expires_in": "3599", "ext_expires_in": "3599",
                        "expires_on": str(int(time.time()) + 3599), "not_before": "1510670000",
                        "resource": "https://graph.windows.net", "access_token": "eyJ0", "refresh_token": "AwAB"},
               Row("eyJ0", "AwAB", "a", 3599)),
    ),
}
