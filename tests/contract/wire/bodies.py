"""Bodies: media types, charsets, invalid JSON, and values out of bounds."""

from tests.contract.wire.case import NO_JSON, NO_USER, PAYLOAD, fail, one, success
from tests.support.raw_http import JSON, send

USER = '{"username": "Ada", "email": "<new>"}'
BOTH = ("username", "email")

NOT_JSON = {
    "no type": (),
    "an empty type": ("Content-Type:",),
    "a type of spaces": ("Content-Type:   ",),
    "text/plain": ("Content-Type: text/plain",),
    "text/json": ("Content-Type: text/json",),
    "XML": ("Content-Type: application/xml",),
    "a form": ("Content-Type: application/x-www-form-urlencoded",),
    "a form with files": ("Content-Type: multipart/form-data; boundary=x",),
    "a merge patch": ("Content-Type: application/merge-patch+json",),
    "a problem": ("Content-Type: application/problem+json",),
    "JSON lines": ("Content-Type: application/jsonl",),
    "a type with a suffix": ("Content-Type: application/json2",),
    "any type": ("Content-Type: */*",),
    "a type without a subtype": ("Content-Type: application",),
    "a type with a slash alone": ("Content-Type: /",),
    "a type with two slashes": ("Content-Type: application/json/",),
    "two types in one line": ("Content-Type: application/json, text/plain",),
    "two types in two lines": (JSON, "Content-Type: text/plain"),
    "the same type twice": (JSON, JSON),
    "a type in quotes": ('Content-Type: "application/json"',),
    "a type with a space inside": ("Content-Type: application / json",),
    "bytes above ASCII in the type": ("Content-Type: application/json\xff",),
    "the charset utf-16": (f"{JSON}; charset=utf-16",),
    "the charset utf-32": (f"{JSON}; charset=utf-32",),
    "the charset utf-7": (f"{JSON}; charset=utf-7",),
    "the charset latin-1": (f"{JSON}; charset=latin-1",),
    "the charset iso-8859-1": (f"{JSON}; charset=iso-8859-1",),
    "the charset windows-1252": (f"{JSON}; charset=windows-1252",),
    "the charset us-ascii": (f"{JSON}; charset=us-ascii",),
    "the charset gb18030": (f"{JSON}; charset=gb18030",),
    "the charset shift_jis": (f"{JSON}; charset=shift_jis",),
    "the charset cp037": (f"{JSON}; charset=cp037",),
    "the charset utf-8-sig": (f"{JSON}; charset=utf-8-sig",),
    "the charset bogus": (f"{JSON}; charset=bogus",),
    "the charset idna": (f"{JSON}; charset=idna",),
    "the charset zip": (f"{JSON}; charset=zip",),
    "the charset undefined": (f"{JSON}; charset=undefined",),
    "a charset of NUL characters": (f"{JSON}; charset=\xff",),
    "an empty charset": (f"{JSON}; charset=",),
    "a charset of 10 KiB": (f"{JSON}; charset=" + "x" * 10240,),
    "a charset that comes twice": (f"{JSON}; charset=utf-8; charset=utf-16",),
    "a charset that comes twice, the good one last": (f"{JSON}; charset=utf-16; charset=utf-8",),
    "an unknown parameter": (f"{JSON}; version=1",),
    "a boundary": (f"{JSON}; boundary=x",),
    "1000 parameters": (JSON + "".join(f"; p{number}=x" for number in range(1000)),),
    "the coding gzip": (JSON, "Content-Encoding: gzip"),
    "the coding deflate": (JSON, "Content-Encoding: deflate"),
    "the coding br": (JSON, "Content-Encoding: br"),
    "the coding zstd": (JSON, "Content-Encoding: zstd"),
    "the coding identity": (JSON, "Content-Encoding: identity"),
    "an unknown coding": (JSON, "Content-Encoding: bogus"),
    "several codings": (JSON, "Content-Encoding: gzip, br"),
    "a second line of codings": (JSON, "Content-Encoding:", "Content-Encoding: gzip"),
}

JSON_TYPES = {
    "odd case": "Content-Type: Application/JSON",
    "the charset utf-8": f"{JSON}; charset=utf-8",
    "the charset UTF-8": f"{JSON}; charset=UTF-8",
    "the charset utf8": f"{JSON};charset=utf8",
    "the charset in quotes": f'{JSON}; charset="utf-8"',
    "the charset's name in odd case": f"{JSON}; ChArSeT=utf-8",
    "spaces around": "Content-Type:    application/json   ;   charset=utf-8   ",
    "a semicolon at the end": f"{JSON};",
    "a header name in odd case": "cOnTeNt-TyPe: application/json",
}

UNREADABLE = {
    "nothing but a space": " ",
    "a word": "user",
    "a byte order mark": "\xef\xbb\xbf" + USER,
    "UTF-16 with its mark": USER.encode("utf-16"),
    "UTF-16 without a mark": USER.encode("utf-16-le"),
    "UTF-32": USER.encode("utf-32"),
    "latin-1": '{"username": "Andr\xe9", "email": "<new>"}',
    "an overlong form": '{"username": "\xc0\x80", "email": "<new>"}',
    "a surrogate in UTF-8": '{"username": "\xed\xa0\x80", "email": "<new>"}',
    "a character above U+10FFFF": '{"username": "\xf4\x90\x80\x80", "email": "<new>"}',
    "half a character at the end": USER + "\xc3",
    "a lone high surrogate in the username": r'{"username": "\ud800", "email": "<new>"}',
    "a lone low surrogate in the username": r'{"username": "\udc00", "email": "<new>"}',
    "swapped surrogates in the username": r'{"username": "\udc00\ud800", "email": "<new>"}',
    "a lone surrogate in the email": r'{"username": "Ada", "email": "a\ud800@example.org"}',
    "a lone surrogate in a property's name": r'{"\ud800": 1}',
    "a broken escape": r'{"username": "\x41", "email": "<new>"}',
    "a short escape": r'{"username": "\u00", "email": "<new>"}',
    "a raw NUL": '{"username": "a\x00b", "email": "<new>"}',
    "a raw line break in a string": '{"username": "a\nb", "email": "<new>"}',
    "a raw NUL behind the end": USER + "\x00",
    "NaN": '{"username": NaN, "email": "<new>"}',
    "Infinity": '{"username": Infinity, "email": "<new>"}',
    "minus Infinity": '{"username": -Infinity, "email": "<new>"}',
    "nothing but NaN": "NaN",
    "single quotes": "{'username': 'Ada'}",
    "a comment": USER + " // Ada",
    "another comment": "/* Ada */ " + USER,
    "a comma at the end": '{"username": "Ada",}',
    "a name without quotes": "{username: 1}",
    "two values": USER + USER,
    "a value without its end": '{"username": "Ada"',
    "a string without its end": '{"username": "Ada',
    "a number with a leading zero": '{"username": 01}',
    "a number with a plus": '{"username": +1}',
    "a number with a point alone": '{"username": 1.}',
    "an infinite number": '{"username": 1e999}',
    "an integer of 5000 digits": f'{{"username": {"9" * 5000}}}',
    "hexadecimal": '{"username": 0x1}',
    "True": '{"active": True}',
    "undefined": '{"username": undefined}',
    "a form feed as white space": "\x0c" + USER,
    "a no-break space": "\xc2\xa0" + USER,
    "a line separator as white space": "\xe2\x80\xa8" + USER,
    "a form": "username=Ada&email=ada@example.org",
    "XML with an entity": '<!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]><x>&y;</x>',
    "a pickle": b"\x80\x04\x95\x10\x00\x00\x00.",
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
    "100,000 open brackets": "[" * 100000,
    "100,000 brackets": "[" * 100000 + "]" * 100000,
    "100,000 open objects": '{"a":' * 100000,
    "a million open brackets": "[" * 1000000,
    "2000 brackets in a property": '{"username": ' + "[" * 2000 + "]" * 2000 + "}",
}

REFUSED = {
    "null": ("null", ("",)),
    "true": ("true", ("",)),
    "a number": ("1", ("",)),
    "a string": ('"user"', ("",)),
    "an array": ("[]", ("",)),
    "an array of users": (f"[{USER}]", ("",)),
    "a number of 5000 digits": ("1" * 5000, ("",)),
    "a number of a million digits": ("1" * 1000000, ("",)),
    "100 brackets": ("[" * 100 + "]" * 100, ("",)),
    "an empty object": ("{}", BOTH),
    "no username": ('{"email": "<new>"}', ("username",)),
    "no email": ('{"username": "Ada"}', ("email",)),
    "null for both": ('{"username": null, "email": null}', BOTH),
    "arrays for both": ('{"username": [], "email": []}', BOTH),
    "objects for both": ('{"username": {}, "email": {"$ne": ""}}', BOTH),
    "numbers for both": ('{"username": 1, "email": 1e300}', BOTH),
    "booleans for both": ('{"username": true, "email": false}', BOTH),
    "integers over 2^64 for both": (f'{{"username": {2**64 + 1}, "email": -{2**64 + 1}}}', BOTH),
    "giant fractions for both": (f'{{"username": 0.{"9" * 5000}, "email": 1e-{"9" * 500}}}', BOTH),
    "minus zero for both": ('{"username": -0, "email": -0.0}', BOTH),
    "an empty username": ('{"username": "", "email": "<new>"}', ("username",)),
    "a username of 129 characters": (f'{{"username": "{"u" * 129}", "email": "<new>"}}', ("username",)),
    "a username of 129 emojis": (
        ('{"username": "' + "\N{PILE OF POO}" * 129 + '", "email": "<new>"}').encode(),
        ("username",),
    ),
    "a username of a megabyte": (f'{{"username": "{"u" * 1000000}", "email": "<new>"}}', ("username",)),
    "NUL in the username": (r'{"username": "a\u0000b", "email": "<new>"}', ("username",)),
    "a username that is NUL": (r'{"username": "\u0000", "email": "<new>"}', ("username",)),
    "NUL in the email": (r'{"username": "Ada", "email": "a\u0000@example.org"}', ("email",)),
    "an empty email": ('{"username": "Ada", "email": ""}', ("email",)),
    "an email without an at": ('{"username": "Ada", "email": "ada"}', ("email",)),
    "an email of an at alone": ('{"username": "Ada", "email": "@"}', ("email",)),
    "an email with two ats": ('{"username": "Ada", "email": "a@b@example.org"}', ("email",)),
    "an email without a local part": ('{"username": "Ada", "email": "@example.org"}', ("email",)),
    "an email without a domain": ('{"username": "Ada", "email": "ada@"}', ("email",)),
    "an email with a space": ('{"username": "Ada", "email": "a da@example.org"}', ("email",)),
    "an email with a space in front": ('{"username": "Ada", "email": " ada@example.org"}', ("email",)),
    "an email with a line break": (
        r'{"username": "Ada", "email": "ada@example.org\r\nBcc: x@example.org"}',
        ("email",),
    ),
    "an email with a line break at its end": (
        r'{"username": "Ada", "email": "ada@example.org\n"}',
        ("email",),
    ),
    "an email with two dots": ('{"username": "Ada", "email": "a..b@example.org"}', ("email",)),
    "an email that is not ASCII": (r'{"username": "Ada", "email": "\u00e4@example.org"}', ("email",)),
    "an email whose domain is not ASCII": (r'{"username": "Ada", "email": "a@ex\u00e4mple.org"}', ("email",)),
    "an email of 129 characters": (
        f'{{"username": "Ada", "email": "{"e" * 60}@{"d" * 60}.org{"g" * 4}"}}',
        ("email",),
    ),
    "an email of a megabyte": (f'{{"username": "Ada", "email": "{"e" * 1000000}@example.org"}}', ("email",)),
    "an unknown property": ('{"username": "Ada", "email": "<new>", "nick": 1}', ("nick",)),
    "the id": ('{"username": "Ada", "email": "<new>", "id": 1}', ("id",)),
    "the version": ('{"username": "Ada", "email": "<new>", "version": 1}', ("version",)),
    "the date": (
        '{"username": "Ada", "email": "<new>", "created_date": "2026-01-01T00:00:00Z"}',
        ("created_date",),
    ),
    "active, which POST does not take": (
        '{"username": "Ada", "email": "<new>", "active": false}',
        ("active",),
    ),
    "an empty name": ('{"username": "Ada", "email": "<new>", "": 1}', ("",)),
    "a name of JavaScript": ('{"username": "Ada", "email": "<new>", "__proto__": {}}', ("__proto__",)),
    "a name of Python": ('{"username": "Ada", "email": "<new>", "__class__": {}}', ("__class__",)),
    "a name with NUL": (r'{"username": "Ada", "email": "<new>", "\u0000": 1}', ("\x00",)),
    "a name in the wrong case": ('{"Username": "Ada", "email": "<new>"}', ("Username", "username")),
    "the username twice": ('{"username": "Ada", "username": "Eve", "email": "<new>"}', ("username",)),
    "the email twice": ('{"username": "Ada", "email": "<new>", "email": "<new>"}', ("email",)),
    "a name twice, once escaped": (
        r'{"username": "Ada", "\u0075sername": "Eve", "email": "<new>"}',
        ("username",),
    ),
    "an unknown name twice": ('{"username": "Ada", "email": "<new>", "x": 1, "x": 2}', ("x", "x")),
    "a name three times": (
        '{"username": 1, "username": 2, "username": "Ada", "email": "<new>"}',
        ("username",),
    ),
    "everything wrong at once": (
        '{"username": 1, "email": "x", "a": 1, "b": 2}',
        ("username", "email", "a", "b"),
    ),
    "900 unknown names": (
        '{"username": "Ada", "email": "<new>"' + "".join(f', "p{number}": 1' for number in range(900)) + "}",
        tuple(f"p{number}" for number in range(100)),
    ),
    "10,000 unknown names": (
        '{"username": "Ada", "email": "<new>"'
        + "".join(f', "p{number}": 1' for number in range(10000))
        + "}",
        ("",),
    ),
}

ACCEPTED = {
    "white space around": " \t\r\n" + USER + " \t\r\n",
    "an escaped name": USER.replace("username", r"\u0075sername"),
    "a username of an emoji in escapes": r'{"username": "\ud83d\udca9", "email": "<new>"}',
    "a username of 128 emojis": (
        '{"username": "' + "\N{PILE OF POO}" * 128 + '", "email": "<new>"}'
    ).encode(),
    "a username of one space": '{"username": " ", "email": "<new>"}',
    "a username of SQL": """{"username": "'); DROP TABLE users; --", "email": "<new>"}""",
    "a username of markup": '{"username": "<script>alert(1)</script>", "email": "<new>"}',
    "a username of a template": '{"username": "{{ 7 * 7 }} {% %} ${x} %s {0}", "email": "<new>"}',
    "a username of control characters": r'{"username": "\u0001\u001b[31m\u007f\u0085", "email": "<new>"}',
    "a username of directions and joiners": r'{"username": "\u202e\u200d\ufeff\u2028", "email": "<new>"}',
    "a username of noncharacters": r'{"username": "\uffff\ufffe\ufdd0", "email": "<new>"}',
    "a username of combining marks": r'{"username": "e\u0301\u0301\u0301", "email": "<new>"}',
}

BODIES = {
    **{
        f"a body with {name} is not taken": one(
            send("POST /users", USER, *(types or ("X: y",))), fail(415, NO_JSON)
        )
        for name, types in NOT_JSON.items()
    },
    **{
        f"a body with {name} is JSON": one(send("POST /users", "{}", line), fail(400, PAYLOAD, *BOTH))
        for name, line in JSON_TYPES.items()
    },
    **{
        f"{name}, a body that cannot be read": one(send("POST /users", body), fail(400, PAYLOAD, ""))
        for name, body in UNREADABLE.items()
    },
    **{
        f"{name}, a payload that is refused": one(send("POST /users", body), fail(400, PAYLOAD, *fields))
        for name, (body, fields) in REFUSED.items()
    },
    **{
        f"{name}, a payload that is taken": one(send("POST /users", body), success(201))
        for name, body in ACCEPTED.items()
    },
    **{
        f"{method} with {name} is refused": one(
            send(f"{method} /users/<id>", body), fail(400, PAYLOAD, *fields)
        )
        for method in ("PUT", "PATCH")
        for name, body, fields in (
            ("NUL in the username", r'{"username": "a\u0000b", "email": "ada@wire.example"}', ("username",)),
            ("NUL in the email", r'{"username": "Ada", "email": "a\u0000b@example.org"}', ("email",)),
            (
                "a lone surrogate in the username",
                r'{"username": "\ud800", "email": "ada@wire.example"}',
                ("",),
            ),
            ("a lone surrogate in the email", r'{"username": "Ada", "email": "\ud800@example.org"}', ("",)),
            (
                "active as a string",
                '{"username": "Ada", "email": "ada@wire.example", "active": "true"}',
                ("active",),
            ),
            (
                "active as a number",
                '{"username": "Ada", "email": "ada@wire.example", "active": 1}',
                ("active",),
            ),
            (
                "active as null",
                '{"username": "Ada", "email": "ada@wire.example", "active": null}',
                ("active",),
            ),
            ("the id", '{"username": "Ada", "email": "ada@wire.example", "id": 2}', ("id",)),
            ("deep nesting", "[" * 100000, ("",)),
            ("no body", "", ("",)),
        )
    },
    **{
        f"{method} without a type is not taken": one(
            send(f"{method} /users/<id>", "{}", "X: y"), fail(415, NO_JSON)
        )
        for method in ("PUT", "PATCH")
    },
    "PUT of an empty object is refused": one(send("PUT /users/<id>", "{}"), fail(400, PAYLOAD, *BOTH)),
    "PATCH of an empty object is refused": one(send("PATCH /users/<id>", "{}"), fail(400, PAYLOAD, "")),
    "PATCH of an unknown user validates the payload first": one(
        send("PATCH /users/0", "[]"), fail(400, PAYLOAD, "")
    ),
    "PUT of an unknown user validates the payload first": one(
        send("PUT /users/blah", "{}"), fail(400, PAYLOAD, *BOTH)
    ),
    "PATCH of an unknown user is 404": one(send("PATCH /users/blah", '{"active": true}'), fail(404, NO_USER)),
    "a taken email in capitals is a duplicate": one(
        send("POST /users", '{"username": "Eve", "email": "ADA@WIRE.EXAMPLE"}'),
        fail(400, "Sorry. That email already exists."),
    ),
    "an empty body with no JSON type is not taken": one(
        send("POST /users", "", "Content-Type: text/plain"), fail(415, NO_JSON)
    ),
    "an empty coding is none": one(
        send("POST /users", "{}", JSON, "Content-Encoding:"), fail(400, PAYLOAD, *BOTH)
    ),
}
