"""Request targets: paths, ids, percent-encoding, queries, and target forms for proxies."""

from tests.contract.wire.case import NO_PATH, NO_USER, PARAMETER, REFUSED, empty, fail, one, success
from tests.support.raw_http import get, head, send

NO_USERS_PATH = {
    "a trailing slash": "/users/",
    "a trailing slash behind an id": "/users/<id>/",
    "a doubled slash in front": "//users",
    "three slashes in front": "///users",
    "a doubled slash inside": "/users//<id>",
    "an encoded slash": "/users%2F<id>",
    "an encoded slash in lower case": "/users%2f<id>",
    "an encoded slash in the id": "/users/1%2F2",
    "an encoded slash in front": "/%2Fusers",
    "an encoded backslash": "/users%5C<id>",
    "a backslash": "/users\\<id>",
    "dot segments": "/users/../users",
    "encoded dot segments": "/users/%2e%2e/users",
    "a dot segment": "/./users",
    "upper case": "/USERS",
    "a path parameter": "/users;version=1",
    "a trailing space, encoded": "/users%20",
    "a trailing NUL, encoded": "/users%00",
    "a line break, encoded": "/users%0d%0aX-Evil:%20yes",
    "a doubly encoded slash": "/users%252F<id>",
    "a broken escape": "/users%",
    "an overlong UTF-8 slash": "/users%c0%af<id>",
    "a file of the machine": "/../../../../etc/passwd",
    "an encoded file of the machine": "/%2e%2e/%2e%2e/etc/passwd",
    "a file of the project": "/.git/config",
    "the stock documentation of Connexion": "/swagger.json",
    "a path of 8 KiB": "/" + "a" * 8192,
    "a path of 60 KiB": "/" + "a" * 61440,
    "a path of 10,000 slashes": "/" * 10000,
    "an emoji, encoded": "/%F0%9F%92%A9",
    "half of a path": "/user",
    "the path of another service": "/api/v1/users",
    "a deeper path": "/users/<id>/active",
}

NO_ID = {
    "a word": "blah",
    "zero": "0",
    "minus one": "-1",
    "a leading zero": "01",
    "a leading plus": "+1",
    "an encoded plus": "%2B1",
    "twenty nines": "9" * 20,
    "2^53": str(2**53),
    "2^63": str(2**63),
    "2^64 + 1": str(2**64 + 1),
    "5000 digits": "1" * 5000,
    "a fraction": "1.0",
    "an exponent": "1e0",
    "hexadecimal": "0x1",
    "an underscore": "1_0",
    "a leading space, encoded": "%201",
    "a trailing space, encoded": "1%20",
    "a trailing line break, encoded": "1%0A",
    "NUL, encoded": "%00",
    "NUL behind a digit": "1%00",
    "Arabic digits": "%D9%A1",
    "a fullwidth digit": "%EF%BC%91",
    "superscript two": "%C2%B2",
    "a lone surrogate": "%ED%A0%80",
    "invalid UTF-8": "%FF",
    "a broken escape": "1%",
    "a broken escape of two": "%zz",
    "SQL": "1%20OR%201=1",
    "SQL with a quote": "1'--",
    "a list": "1,2",
    "true": "true",
    "null": "null",
    "a template": "{user_id}",
    "dot segments, encoded": "%2e%2e",
    "an encoded question mark": "1%3Fx=1",
    "an encoded hash": "1%23",
    "a path parameter": "1;v=2",
}

REFUSED_QUERY = {
    "an unknown parameter": ("emial=ada@example.org", "emial"),
    "a parameter in the wrong case": ("Email=ada@example.org", "Email"),
    "an unknown parameter without a name": ("=1", ""),
    "a repeated parameter": ("limit=1&limit=2", "limit"),
    "a parameter repeated by another spelling": ("limit=1&%6Cimit=2", "limit"),
    "a list in brackets": ("limit[]=1", "limit[]"),
    "a semicolon for an ampersand": ("limit=1;after=2", "limit"),
    "a limit of zero": ("limit=0", "limit"),
    "a limit of 1001": ("limit=1001", "limit"),
    "a negative limit": ("limit=-1", "limit"),
    "a limit with a plus": ("limit=%2B1", "limit"),
    "a limit with a leading zero": ("limit=01", "limit"),
    "a limit with a space": ("limit=%201", "limit"),
    "a limit in Arabic digits": ("limit=%D9%A1", "limit"),
    "a limit of 5000 digits": ("limit=" + "9" * 5000, "limit"),
    "a limit of NaN": ("limit=NaN", "limit"),
    "a limit of Infinity": ("limit=Infinity", "limit"),
    "an exponent as limit": ("limit=1e2", "limit"),
    "a fraction as limit": ("limit=1.0", "limit"),
    "a negative zero as limit": ("limit=-0", "limit"),
    "an empty limit": ("limit=", "limit"),
    "a limit without a value": ("limit", "limit"),
    "a limit with an underscore": ("limit=1_0", "limit"),
    "a limit with NUL": ("limit=1%00", "limit"),
    "a negative after": ("after=-1", "after"),
    "an after of 2^53": (f"after={2**53}", "after"),
    "an after of 2^63": (f"after={2**63}", "after"),
    "an after of 2^64": (f"after={2**64}", "after"),
    "an empty after": ("after=", "after"),
    "active as a number": ("active=1", "active"),
    "active in capitals": ("active=TRUE", "active"),
    "active as yes": ("active=yes", "active"),
    "active as null": ("active=null", "active"),
    "an empty active": ("active=", "active"),
    "NUL in the username": ("username=a%00b", "username"),
    "NUL in the email": ("email=a%00b@example.org", "email"),
    "a lone surrogate in the username": ("username=%ED%A0%80", ""),
    "a lone surrogate in the email": ("email=%ED%A0%80@example.org", ""),
    "invalid UTF-8 in the username": ("username=%FF", ""),
    "invalid UTF-8 in a parameter's name": ("%FF=1", ""),
    "overlong UTF-8": ("username=%C0%80", ""),
    "an empty username": ("username=", "username"),
    "a username of 129 characters": ("username=" + "u" * 129, "username"),
    "an empty email": ("email=", "email"),
    "an email that is not an address": ("email=ada", "email"),
    "an email with a space for its plus": ("email=a+b@example.org", "email"),
    "an email of 129 characters": ("email=" + "e" * 117 + "@example.org", "email"),
    "a broken escape": ("username=%", ""),
    "a broken escape of two": ("username=%zz", ""),
    "a broken escape at the end": ("username=ada%4", ""),
    "a second question mark": ("?limit=1", "?limit"),
    "a parameter of the path": ("user_id=1", "user_id"),
    "a column that is private": ("version=1", "version"),
    "a Python attribute": ("__class__=1", "__class__"),
}

SEVERAL_REFUSALS = {
    "all wrong parameters are listed": (
        "limit=0&after=-1&active=x&nosuch=1",
        ("nosuch", "limit", "after", "active"),
    ),
}

ACCEPTED_QUERY = {
    "an empty query": "",
    "empty pairs": "&&limit=1&&",
    "a name that is percent-encoded": "%6C%69mit=1",
    "the largest after": f"after={2**53 - 1}",
    "a username of 128 characters of four bytes": "username=" + "%F0%9F%92%A9" * 128,
    "a username with SQL": "username=%27%20OR%201=1--",
    "a username with a percent sign and an underscore": "username=%25_",
    "a username with a line break": "username=%0D%0A",
    "an email in capitals": "email=ADA@EXAMPLE.ORG",
}

ID_METHODS = {
    "GET": "",
    "PUT": '{"username": "Ada", "email": "<new>"}',
    "PATCH": '{"active": true}',
    "DELETE": "",
}

TARGETS = {
    **{f"{name} is another path": one(get(path), fail(404, NO_PATH)) for name, path in NO_USERS_PATH.items()},
    **{
        f"an id that is {name} is 404": one(get(f"/users/{text}"), fail(404, NO_USER))
        for name, text in NO_ID.items()
    },
    **{
        f"{method} of an id of 5000 digits is 404": one(
            send(f"{method} /users/{'1' * 5000}", body) if body else head(f"{method} /users/{'1' * 5000}"),
            fail(404, NO_USER),
        )
        for method, body in ID_METHODS.items()
    },
    **{
        f"{name} in the query is refused": one(get(f"/users?{query}"), fail(400, PARAMETER, field))
        for name, (query, field) in REFUSED_QUERY.items()
    },
    **{
        name: one(get(f"/users?{query}"), fail(400, PARAMETER, *fields))
        for name, (query, fields) in SEVERAL_REFUSALS.items()
    },
    **{
        f"{name} is a good query": one(get(f"/users?{query}"), success())
        for name, query in ACCEPTED_QUERY.items()
    },
    **{
        f"{path} refuses any parameter": one(get(f"{path}?x=1"), fail(400, PARAMETER, "x"))
        for path in ("/ping", "/health/live", "/health/ready", "/users/<id>")
    },
    "a filter may not come with a DELETE": one(
        head("DELETE /users/1?active=false"), fail(400, PARAMETER, "active")
    ),
    "a parameter may not come with a POST": one(
        send("POST /users?limit=1", '{"username": "Ada", "email": "<new>"}'), fail(400, PARAMETER, "limit")
    ),
    "4,000 unknown parameters are refused, the first 100 by their names": one(
        get("/users?" + "&".join(f"p{number}=" for number in range(4000))),
        fail(400, PARAMETER, *(f"p{number}" for number in range(100))),
    ),
    "more than 4,000 parameters are refused": one(
        get("/users?" + "email=&" * 9000), fail(400, PARAMETER, "")
    ),
    "a fragment is not part of the query": one(get("/ping#fragment"), success(message="pong")),
    "a percent-encoded path is the same path": one(get("/%70ing"), success(message="pong")),
    "a target in absolute form is served": one(get("http://users.example/ping"), success(message="pong")),
    "a target in absolute form for another host is served": one(
        get("http://evil.example:1/ping"), success(message="pong")
    ),
    "a target in absolute form with credentials is served": one(
        get("http://a:b@evil.example/ping"), success(message="pong")
    ),
    "a target in absolute form of another scheme is served": one(
        get("ftp://evil.example/ping"), success(message="pong")
    ),
    "a target in absolute form without a path is refused": one(get("http://users.example"), REFUSED),
    "a target in authority form is refused": one(get("users.example:80"), REFUSED),
    "an asterisk is not a path": one(get("*"), fail(404, NO_PATH)),
    "an asterisk for OPTIONS is not a path": one(head("OPTIONS *"), fail(404, NO_PATH)),
    "a target without a slash is refused": one(get("users"), REFUSED),
    "no target is refused": one(b"GET HTTP/1.1\r\nHost: users.example\r\n\r\n", REFUSED),
    "a target with a space is refused": one(get("/users /1"), REFUSED),
    "a target with a tab is refused": one(get("/users\t/1"), REFUSED),
    "a target with NUL is refused": one(get("/users/\x00"), REFUSED),
    "a target with raw bytes above ASCII is refused": one(get("/users/\xff\xfe"), REFUSED),
    "a target with raw UTF-8 is refused": one(get("/users/\xc3\xa9"), REFUSED),
    "a query with raw UTF-8 is refused": one(get("/users?username=\xc3\xa9"), REFUSED),
    "a target with a control character is refused": one(get("/users/\x1b[31m"), REFUSED),
    "the documentation hides no file of the machine": one(
        get("/ui/../../../../etc/passwd"), fail(404, "Not Found")
    ),
    "the documentation hides no encoded file of the machine": one(
        get("/ui/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd"), fail(404, "Not Found")
    ),
    "the documentation has no file with NUL": one(get("/ui/%00"), fail(404, "Not Found")),
    "the documentation has no file with a long name": one(get("/ui/" + "a" * 5000), fail(404, "Not Found")),
    "the documentation has no file with invalid UTF-8": one(get("/ui/%ff"), fail(404, "Not Found")),
    "the documentation with an encoded slash is another path": one(get("/ui%2f"), fail(404, NO_PATH)),
    "the documentation with another encoded slash is another path": one(get("/ui%2F"), fail(404, NO_PATH)),
    "the percent-encoded documentation is the same path": one(head("HEAD /%75i/"), empty(200)),
    "the documentation has no doubled slash": one(get("/ui//etc/passwd"), fail(404, "Not Found")),
    "the root leads to the documentation, whatever the host": one(
        get("/", host="Host: evil.example"), empty(307, location="/ui/")
    ),
    "the documentation without its slash leads to it, whatever the host": one(
        get("/ui", host="Host: evil.example"), empty(307, location="/ui/")
    ),
    "the documentation without its slash leads to it, for a broken host": one(
        get("/ui", host="Host: ["), empty(307, location="/ui/")
    ),
}
