"""Token requests, which are forms (RFC 6749, 4.4 and appendix B), and the keys of the tokens."""

from tests.contract.wire.case import (
    BASIC,
    CLIENT,
    NO_FORM,
    NO_METHOD,
    NO_PATH,
    PARAMETER,
    SECRET,
    SLOW_BODY,
    TOO_LARGE,
    Answer,
    Case,
    empty,
    fail,
    one,
    refusal,
)
from tests.support.raw_http import CHUNKED, JSON, chunks, get, head, send, wire

MIB = 1024 * 1024
FORM = "Content-Type: application/x-www-form-urlencoded"
GRANT = "grant_type=client_credentials"
OWN = f"{GRANT}&client_id={CLIENT}&client_secret={SECRET}"
AUTHORIZATION = f"Authorization: Basic {BASIC}"
ISSUED = Answer(200, "token", headers=(("pragma", "no-cache"),))
PUBLIC = Answer(200, "keys")
INVALID_CLIENT = refusal("invalid_client", 401, www_authenticate='Basic realm="users-api"')
MALFORMED = refusal("invalid_request", pragma="no-cache")
KEYS_PATH = "/.well-known/jwks.json"


def ask(form, *headers, **how):
    """Return a token request with this form."""
    return send("POST /oauth/token", form, *(headers or (FORM,)), **how)


OTHER_PATHS = {
    "a trailing slash": "/oauth/token/",
    "a doubled slash in front": "//oauth/token",
    "a doubled slash inside": "/oauth//token",
    "an encoded slash": "/oauth%2Ftoken",
    "upper case": "/oauth/TOKEN",
    "a trailing NUL, encoded": "/oauth/token%00",
    "a path parameter": "/oauth/token;x=1",
    "another endpoint of OAuth": "/oauth/revoke",
}

NO_FORMS = {
    "no type": ("X: y",),
    "JSON": (JSON,),
    "text": ("Content-Type: text/plain",),
    "a form with files": ("Content-Type: multipart/form-data; boundary=x",),
    "a type with a suffix": (f"{FORM}2",),
    "two types in one line": (f"{FORM}, application/json",),
    "two types in two lines": (FORM, JSON),
    "the charset latin-1": (f"{FORM}; charset=latin-1",),
    "the charset utf-16": (f"{FORM}; charset=utf-16",),
    "the charset utf-7": (f"{FORM}; charset=utf-7",),
    "an empty charset": (f"{FORM}; charset=",),
    "the coding gzip": (FORM, "Content-Encoding: gzip"),
}

MALFORMED_FORMS = {
    "an empty form": "",
    "a form of ampersands": "&&",
    "a form of an equals sign": "=",
    "a grant type without a value": "grant_type",
    "an empty grant type": OWN.replace("client_credentials", ""),
    "JSON": '{"grant_type": "client_credentials"}',
    "the grant type twice": f"{OWN}&{GRANT}",
    "the grant type twice, once percent-encoded": f"{OWN}&grant%5Ftype=client_credentials",
    "the grant type twice, once empty": f"{OWN}&grant_type=",
    "the client twice": f"{OWN}&client_id={CLIENT}",
    "the scope twice": f"{OWN}&scope=users:read&scope=users:write",
    "an unknown property twice": f"{OWN}&x=1&x=2",
    "an unknown property 10,000 times": OWN + "&x=1" * 10000,
    "30 unknown properties": OWN + "".join(f"&p{number}=1" for number in range(30)),
    "13,000 unknown properties": OWN + "".join(f"&p{number}=1" for number in range(13000)),
    "invalid UTF-8": f"{OWN}&x=\xff",
    "invalid UTF-8, encoded": f"{OWN}&x=%FF",
    "invalid UTF-8 in a name": f"{OWN}&%FF=x",
    "a lone surrogate": f"{OWN}&x=%ED%A0%80",
    "overlong UTF-8": f"{OWN}&x=%C0%80",
    "a broken escape": f"{OWN}&x=%zz",
    "a broken escape at the end": f"{OWN}&x=%",
    "UTF-16 with its mark": OWN.encode("utf-16"),
    "a client's id of 129 characters": f"{GRANT}&client_id={'c' * 129}&client_secret={SECRET}",
    "a scope of 1025 characters": f"{OWN}&scope={'s' * 1025}",
}

OTHER_GRANTS = {
    "a password": "grant_type=password&username=ada&password=secret",  # pragma: allowlist secret
    "a code": f"grant_type=authorization_code&code=x&client_id={CLIENT}",
    "capitals": OWN.replace("client_credentials", "Client_Credentials"),
    "a plus": OWN.replace("client_credentials", "client+credentials"),
    "a trailing space": OWN.replace("client_credentials", "client_credentials+"),
    "NUL": OWN.replace("client_credentials", "client_credentials%00"),
    "semicolons for ampersands": OWN.replace("&", ";"),
}

OTHER_SCOPES = {
    "an unknown one": "users:delete",
    "capitals": "USERS:READ",
    "a comma for a space": "users:read,users:write",
    "an encoded plus for a space": "users:read%2Busers:write",
    "a tab for a space": "users:read%09users:write",
    "a line break for a space": "users:read%0Ausers:write",
    "two spaces": "users:read++users:write",
    "a leading space": "+users:read",
    "a trailing space": "users:read%20",
    "NUL": "%00",
    "an emoji": "%F0%9F%92%A9",
}

OTHER_CLIENTS = {
    "no client": GRANT,
    "a client without a secret": f"{GRANT}&client_id={CLIENT}",
    "a client with an empty secret": f"{GRANT}&client_id={CLIENT}&client_secret=",
    "a secret without a client": f"{GRANT}&client_secret={SECRET}",
    "a secret with a space after it": f"{OWN}+",
    "a secret with NUL after it": f"{OWN}%00",
    "a secret that is NUL": f"{GRANT}&client_id={CLIENT}&client_secret=%00",
    "a client that is NUL": f"{GRANT}&client_id=%00&client_secret={SECRET}",
    "a client with a space in front": f"{GRANT}&client_id=%20{CLIENT}&client_secret={SECRET}",
    "a client of SQL": f"{GRANT}&client_id=%27%20OR%201=1--&client_secret={SECRET}",
    "a client of an emoji": f"{GRANT}&client_id=%F0%9F%92%A9&client_secret={SECRET}",
    "a client in the wrong property": f"{GRANT}&Client_ID={CLIENT}&client_secret={SECRET}",
}

ACCEPTED = {
    "a form": OWN,
    "a form with empty pairs": f"&&{OWN}&&",
    "a form with a percent-encoded name": f"{OWN}&%73cope=users%3Aread",
    "an empty scope": f"{OWN}&scope=",
    "a scope with a plus for a space": f"{OWN}&scope=users:read+users:write",
    "a scope with %20 for a space": f"{OWN}&scope=users:read%20users:write",
    "a scope with a raw space": f"{OWN}&scope=users:read users:write",
    "a scope twice in one list": f"{OWN}&scope=users:read+users:read",
    "unknown properties": f"{OWN}&audience=x&resource=%00&\N{DEGREE SIGN}=1".encode(),
    "29 unknown properties": OWN + "".join(f"&p{number}=1" for number in range(29)),
    "an unknown property of nearly 1 MiB": f"{OWN}&x=".ljust(MIB, "x"),
}

BAD_AUTHORIZATIONS = {
    "nothing after the scheme": "Authorization: Basic",
    "no base64": "Authorization: Basic !!",
    "base64 without its padding": "Authorization: Basic YTpi=",
    "no colon": "Authorization: Basic Zm9v",
    "invalid UTF-8": "Authorization: Basic 6Q==",
    "bytes above ASCII": "Authorization: Basic \xff",
    "a megabyte's beginning": "Authorization: Basic " + "YTpi" * 10000,
    "another word after it": f"{AUTHORIZATION} x",
    "another client": "Authorization: Basic YTpi",
    "another scheme": "Authorization: Bearer x",
    "a token of an unknown scheme": "Authorization: \xff",
}

TOKEN_REQUESTS = {
    **{
        f"token requests with {name} go to another path": one(
            send(f"POST {path}", OWN, FORM), fail(404, NO_PATH)
        )
        for name, path in OTHER_PATHS.items()
    },
    **{
        f"{method} of a token is not allowed": one(
            head(f"{method} /oauth/token"),
            empty(405, allow="POST") if method == "HEAD" else fail(405, NO_METHOD, allow="POST"),
        )
        for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
    },
    **{
        f"a token request with {name} is no form": one(ask(OWN, *lines), fail(415, NO_FORM))
        for name, lines in NO_FORMS.items()
    },
    **{
        f"{name}, a token request that is malformed": one(ask(form), MALFORMED)
        for name, form in MALFORMED_FORMS.items()
    },
    **{
        f"{name}, another grant": one(ask(form), refusal("unsupported_grant_type"))
        for name, form in OTHER_GRANTS.items()
    },
    **{
        f"{name}, a scope that the client may not have": one(
            ask(f"{OWN}&scope={scope}"), refusal("invalid_scope")
        )
        for name, scope in OTHER_SCOPES.items()
    },
    **{
        f"{name}, which gets no token": one(ask(form), INVALID_CLIENT) for name, form in OTHER_CLIENTS.items()
    },
    **{f"{name}, which gets a token": one(ask(form), ISSUED) for name, form in ACCEPTED.items()},
    **{
        f"an Authorization with {name} gets no token": one(ask(GRANT, FORM, line), INVALID_CLIENT)
        for name, line in BAD_AUTHORIZATIONS.items()
    },
    "an Authorization gets a token": one(ask(GRANT, FORM, AUTHORIZATION), ISSUED),
    "an Authorization in odd case gets a token": one(
        ask(GRANT, FORM, AUTHORIZATION.replace("Basic", "bASIC")), ISSUED
    ),
    "two Authorizations get no token": one(ask(GRANT, FORM, AUTHORIZATION, AUTHORIZATION), INVALID_CLIENT),
    "an Authorization and a secret are malformed": one(ask(OWN, FORM, AUTHORIZATION), MALFORMED),
    "an Authorization and another client are malformed": one(
        ask(f"{GRANT}&client_id=x", FORM, AUTHORIZATION), MALFORMED
    ),
    "an Authorization and its client get a token": one(
        ask(f"{GRANT}&client_id={CLIENT}", FORM, AUTHORIZATION), ISSUED
    ),
    "a charset of UTF-8 gets a token": one(ask(OWN, f"{FORM}; charset=UTF-8"), ISSUED),
    "an unknown parameter of the type gets a token": one(ask(OWN, f"{FORM}; version=1"), ISSUED),
    "a type in odd case gets a token": one(
        ask(OWN, "Content-Type: Application/X-WWW-Form-URLencoded"), ISSUED
    ),
    "a parameter in the query is malformed": one(send("POST /oauth/token?x=1", OWN, FORM), MALFORMED),
    "a client in the query is malformed": one(
        send(f"POST /oauth/token?client_id={CLIENT}&client_secret={SECRET}", GRANT, FORM), MALFORMED
    ),
    "a query in another encoding is malformed": one(send("POST /oauth/token?%ff=1", OWN, FORM), MALFORMED),
    "an empty query gets a token": one(send("POST /oauth/token?", OWN, FORM), ISSUED),
    "a missing form is malformed": one(head("POST /oauth/token", FORM), MALFORMED),
    "a form in chunks gets a token": one(
        head("POST /oauth/token", FORM, CHUNKED) + chunks(OWN[:30], OWN[30:]), ISSUED
    ),
    "a form of 1 MiB and one byte is too large": one(
        ask(f"{OWN}&x=".ljust(MIB + 1, "x")), fail(413, TOO_LARGE, connection="close")
    ),
    "a declared form of a terabyte is too large at once": one(
        head("POST /oauth/token", FORM, f"Content-Length: {2**40}"), fail(413, TOO_LARGE, connection="close")
    ),
    "token requests that follow at once are answered in their order": one(
        ask(OWN) + ask("") + get(KEYS_PATH), ISSUED, MALFORMED, PUBLIC
    ),
}

KEYS = {
    "the keys are public": one(get(KEYS_PATH), PUBLIC),
    "a percent-encoded path of the keys is the same path": one(get("/%2Ewell-known/jwks.json"), PUBLIC),
    "HEAD of the keys has no body": one(head(f"HEAD {KEYS_PATH}"), empty(200)),
    "the keys refuse any parameter": one(get(f"{KEYS_PATH}?kid=x"), fail(400, PARAMETER, "kid")),
    "a body on the keys is ignored": one(send(f"GET {KEYS_PATH}", "\xff"), PUBLIC),
    "POST of keys is not allowed": one(
        send(f"POST {KEYS_PATH}", '{"keys": []}'), fail(405, NO_METHOD, allow="GET, HEAD")
    ),
    **{
        f"{path} is not a path of the keys": one(get(path), fail(404, NO_PATH))
        for path in (
            f"{KEYS_PATH}/",
            "/.well-known//jwks.json",
            "/.well-known/../.well-known/jwks.json",
            "/.well-known/JWKS.json",
            "/.well-known/",
            "/.well-known/openid-configuration",
        )
    },
}

SLOW_TOKENS = {
    "a form that never comes is not waited for": Case(
        (head("POST /oauth/token", FORM, "Content-Length: 99") + wire(GRANT),),
        (fail(408, SLOW_BODY, connection="close"),),
    ),
}
