"""A corpus of access tokens, each with its expected answer, and the mint that creates them.

Every token is signed over its exact text with the issuer's key, unless its name says otherwise: so it is
rejected for the reason in its name, and not for its signature. Other suites can send the tokens over HTTP.
"""

import base64
import hashlib
import hmac
import json
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from itertools import count
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec, utils
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from users_api.access.algorithms import MODELS

P256_ORDER = ec.SECP256R1().group_order
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
EC_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
RSA_NAMES = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
STRANGER = "stranger"
"""The name of a key of P-256 that is not the issuer's."""
MISSING = object()
"""Removes a member."""
NO_DIFFERENCES: Mapping[str, Any] = {}


class Raw(NamedTuple):
    """The text of a value, or of a value and further members, that `json.dumps` cannot create."""

    text: str


class Mint(NamedTuple):
    """Creates the tokens of one issuer for one audience.

    A key is named for its algorithm, and has that name in lower case as its `kid`.
    """

    issuer: str
    audience: str
    now: float
    keys: Mapping[str, Key]

    def jwks(self) -> dict[str, Any]:
        """Return the issuer's public keys."""
        names = [name for name in self.keys if name != STRANGER]
        return {
            "keys": [
                {**self.keys[name].as_dict(private=False), "kid": name.lower(), "use": "sig", "alg": name}
                for name in names
            ]
        }

    def header(self, differences: Mapping[str, Any] = NO_DIFFERENCES, key: str = "ES256") -> str:
        """Return a valid header as JSON, with differences."""
        return to_json({"typ": "at+jwt", "alg": key, "kid": key.lower(), **differences})

    def claims(self, differences: Mapping[str, Any] = NO_DIFFERENCES) -> str:
        """Return valid claims as JSON, with differences."""
        valid = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": "ada",
            "client_id": "ada",
            "jti": "d1a0e4c6",
            "scope": "users:read users:write",
            "iat": int(self.now),
            "exp": int(self.now) + 900,
        }
        return to_json({**valid, **differences})

    def token(
        self,
        *,
        header: Mapping[str, Any] = NO_DIFFERENCES,
        claims: Mapping[str, Any] = NO_DIFFERENCES,
        key: str = "ES256",
        algorithm: str | None = None,
    ) -> str:
        """Return a valid token, with differences; `algorithm` signs it, or else the key's own one."""
        text = f"{encode(self.header(header, key))}.{encode(self.claims(claims))}"
        return self.seal(text, key=key, algorithm=algorithm)

    def seal(self, text: str, key: str = "ES256", algorithm: str | None = None) -> str:
        """Return a text with its signature."""
        return f"{text}.{encode(self.sign(text, key, algorithm))}"

    def sign(self, text: str, key: str = "ES256", algorithm: str | None = None) -> bytes:
        """Return the signature of a text."""
        return MODELS[algorithm or own_algorithm(key)].sign(text.encode(), self.keys[key])

    def resigned(self, change: Callable[[bytes], bytes], key: str = "ES256") -> str:
        """Return a valid token with another signature."""
        text, _, signature = self.token(key=key).rpartition(".")
        return f"{text}.{encode(change(decode(signature)))}"

    def authenticated(self, algorithm: str, secret: bytes, key: str) -> str:
        """Return a token that HMAC authenticates with a secret that everyone knows."""
        text = f"{encode(self.header({'alg': algorithm}, key))}.{encode(self.claims())}"
        digest = hmac.digest(secret, text.encode(), algorithm.replace("HS", "sha"))
        return f"{text}.{encode(digest)}"


class Entry(NamedTuple):
    """A token, and whether it is accepted."""

    name: str
    token: Callable[[Mint], str]
    accepted: bool = False


@cache
def signing_keys() -> Mapping[str, Key]:
    """Return a private key for each algorithm; those of RSA are one key, which only `alg` tells apart."""
    rsa = RSAKey.generate_key(2048)
    return {
        **{name: ECKey.generate_key(curve) for name, curve in EC_CURVES.items()},
        **{name: OKPKey.generate_key("Ed25519") for name in ("EdDSA", "Ed25519")},
        **dict.fromkeys(RSA_NAMES, rsa),
        STRANGER: ECKey.generate_key("P-256"),
    }


def own_algorithm(key: str) -> str:
    """Return the algorithm of a key."""
    return "ES256" if key == STRANGER else key


def to_json(members: Mapping[str, Any]) -> str:
    """Return an object as JSON, without the members that are missing."""
    texts = [
        f"{json.dumps(name)}:{value.text if isinstance(value, Raw) else json.dumps(value)}"
        for name, value in members.items()
        if value is not MISSING
    ]
    return f"{{{','.join(texts)}}}"


def encode(content: str | bytes) -> str:
    """Return base64url."""
    octets = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Return the content of base64url."""
    return base64.urlsafe_b64decode(text + "==")


def public_key_forms(key: Key) -> dict[str, bytes]:
    """Return what a confused verifier could take for the secret of HMAC."""
    return {
        "PEM": key.as_bytes("PEM", private=False),
        "DER": key.as_bytes("DER", private=False),
        "JWK": json.dumps(key.as_dict(private=False)).encode(),
        "thumbprint": key.thumbprint().encode(),
    }


def pair(signature: bytes) -> tuple[int, int]:
    """Return r and s of a signature by ES256."""
    return int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")


def unpair(r: int, s: int) -> bytes:
    """Return a signature by ES256."""
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def malleated_ed25519(signature: bytes) -> bytes:
    """Return (R, S + L), which verifiers without RFC 8032's check of the range accept."""
    second = int.from_bytes(signature[32:], "little") + ED25519_ORDER
    return signature[:32] + second.to_bytes(32, "little")


def without_leading_zero(mint: Mint) -> str:
    """Return a token by PS256 without the zero at the beginning of its signature, which one in 256 has."""
    signatures = (mint.token(key="PS256").rpartition(".") for _ in count())
    text, signature = next(
        (text, octets) for text, _, last in signatures if (octets := decode(last)).startswith(b"\0")
    )
    return f"{text}.{encode(signature[1:])}"


def with_header(name: str, *, accepted: bool = False, key: str = "ES256", **header: Any) -> Entry:
    """Return an entry whose header differs."""
    return Entry(name, lambda mint: mint.token(header=header, key=key), accepted=accepted)


def with_claims(name: str, claims: Callable[[Mint], Mapping[str, Any]], *, accepted: bool = False) -> Entry:
    """Return an entry whose claims differ."""
    return Entry(name, lambda mint: mint.token(claims=claims(mint)), accepted=accepted)


def with_claim(name: str, claim: str, value: Any, *, accepted: bool = False) -> Entry:
    """Return an entry one of whose claims differs."""
    return with_claims(name, lambda _: {claim: value}, accepted=accepted)


def with_payload(name: str, payload: Callable[[Mint], str | bytes]) -> Entry:
    """Return an entry with another payload."""
    return Entry(name, lambda mint: mint.seal(f"{encode(mint.header())}.{encode(payload(mint))}"))


def with_raw_header(name: str, header: Callable[[Mint], str | bytes]) -> Entry:
    """Return an entry with another text in place of the header."""
    return Entry(name, lambda mint: mint.seal(f"{encode(header(mint))}.{encode(mint.claims())}"))


def with_text(name: str, change: Callable[[str, str], str]) -> Entry:
    """Return an entry whose encoded header and claims are changed before they are signed."""
    return Entry(name, lambda mint: mint.seal(change(encode(mint.header()), encode(mint.claims()))))


def unsigned(name: str, change: Callable[[str], str]) -> Entry:
    """Return an entry that is a valid token changed after it was signed."""
    return Entry(name, lambda mint: change(mint.token()))


def with_signature(name: str, change: Callable[[bytes], bytes], *, accepted: bool = False) -> Entry:
    """Return an entry with another signature by ES256."""
    return Entry(name, lambda mint: mint.resigned(change), accepted=accepted)


def of_length(remainder: int, text: Callable[[int], str]) -> str:
    """Return base64url of a text of which this many bytes are in the last, incomplete group of three."""
    return next(encode(text(size)) for size in range(3) if len(text(size)) % 3 == remainder)


def non_canonical(part: str) -> str:
    """Return base64url whose unused bits are not zero: lenient decoders decode it to the same bytes."""
    alphabet = f"{ascii_uppercase}{ascii_lowercase}{digits}-_"
    return part[:-1] + alphabet[alphabet.index(part[-1]) + 1]


def too_long(part: str) -> str:
    """Return a part with a last group of one character, which stands for no byte."""
    return part[: len(part) // 4 * 4] + "A"


def nested(depth: int) -> Raw:
    """Return arrays in arrays."""
    return Raw("[" * depth + "]" * depth)


def sized(mint: Mint, length: int) -> str:
    """Return a token of exactly this length, by a few characters more in the header or the claims."""
    size = (length - len(mint.token())) * 3 // 4
    tokens = (
        mint.token(header={"pad": "x" * padding}, claims={"note": "x" * (size - 100 + added)})
        for padding in range(3)
        for added in range(100)
    )
    return next(token for token in tokens if len(token) == length)


VALID = [
    Entry("a valid token", lambda mint: mint.token(), accepted=True),
    *[
        Entry(f"a valid token by {name}", lambda mint, name=name: mint.token(key=name), accepted=True)
        for name in (*EC_CURVES, "EdDSA", "Ed25519", *RSA_NAMES)
    ],
    with_header("an unknown member in the header", accepted=True, note="extra"),
    with_header("x5t in the header, which names a certificate", accepted=True, x5t="AAAA"),
    with_claim("an unknown claim", "tenant", {"id": [1, None, True]}, accepted=True),
    with_claim("a claim that is nested 15 levels deep", "note", nested(15), accepted=True),
    Entry(
        "a payload with whitespace",
        lambda mint: mint.seal(f"{encode(mint.header())}.{encode(f' {mint.claims()} ')}"),
        accepted=True,
    ),
    with_claim("a subject beyond ASCII", "sub", "Søren Ω", accepted=True),
    with_claim("a subject of 256 characters", "sub", "s" * 256, accepted=True),
    with_claim("text that looks like a repeated member", "note", '"exp":1,"exp":1', accepted=True),
    Entry("a token of 8192 characters", lambda mint: sized(mint, 8192), accepted=True),
]


ALGORITHMS = [
    *[
        Entry(
            f"alg {spelling!r} without a signature",
            lambda mint, spelling=spelling: (
                f"{encode(mint.header({'alg': spelling}))}.{encode(mint.claims())}."
            ),
        )
        for spelling in ("none", "None", "NONE", "nOnE", "nonE", " none", "none ", "none\0", "n\u03bfne")
    ],
    *[
        with_header(f"alg {spelling!r} with a valid signature", alg=spelling)
        for spelling in ("none", "", "es256", "ES256 ", "ES256\0", "ES256K", "ES", "Ed448", "dir")
    ],
    with_header("alg missing", alg=MISSING),
    with_header("alg a number", alg=256),
    with_header("alg null", alg=None),
    with_header("alg a list", alg=["ES256"]),
    with_header("alg an object", alg={"ES256": True}),
    with_header("alg RS256 with a key of P-256", alg="RS256"),
    with_header("alg ES384 with a key of P-256", alg="ES384"),
    with_header("alg EdDSA with a key of P-256", alg="EdDSA"),
    with_header("alg ES256 with a key of P-384", key="ES384", alg="ES256"),
    with_header("alg ES256 with a key of RSA", key="RS256", alg="ES256"),
    with_header("alg EdDSA with a key for Ed25519", key="Ed25519", alg="EdDSA"),
    *[
        Entry(
            f"alg {other} signed correctly with the key for {name}",
            lambda mint, name=name, other=other: mint.token(key=name, header={"alg": other}, algorithm=other),
        )
        for name, other in [("RS256", "PS256"), ("RS256", "RS512"), ("PS256", "RS256"), ("PS512", "PS256")]
    ],
    *[
        Entry(
            f"{algorithm} keyed with the {form} of the {name} key",
            lambda mint, algorithm=algorithm, form=form, name=name: mint.authenticated(
                algorithm, public_key_forms(mint.keys[name])[form], name
            ),
        )
        for algorithm in ("HS256", "HS384", "HS512")
        for form in ("PEM", "DER", "JWK", "thumbprint")
        for name in ("ES256", "RS256")
    ],
    Entry("HS256 keyed with nothing", lambda mint: mint.authenticated("HS256", b"", "ES256")),
]

TYPES = [
    with_header("typ missing", typ=MISSING),
    with_header("typ JWT", typ="JWT"),
    with_header("typ of an id token", typ="id_token+jwt"),
    with_header("typ of a logout token", typ="logout+jwt"),
    with_header("typ application/jwt", typ="application/jwt"),
    with_header("typ with a parameter", typ="at+jwt; charset=utf-8"),
    with_header("typ with a space", typ=" at+jwt"),
    with_header("typ empty", typ=""),
    with_header("typ null", typ=None),
    with_header("typ a list", typ=["at+jwt"]),
    with_header("typ at+JWT", accepted=True, typ="at+JWT"),
    with_header("typ AT+JWT", accepted=True, typ="AT+JWT"),
    with_header("typ application/at+jwt", accepted=True, typ="application/at+jwt"),
    with_header("typ Application/AT+JWT", accepted=True, typ="Application/AT+JWT"),
]

HEADERS = [
    Entry(
        "jwk with the key that signed",
        lambda mint: mint.token(
            header={"jwk": mint.keys[STRANGER].as_dict(private=False), "alg": "ES256"}, key=STRANGER
        ),
    ),
    Entry(
        "jwk with the issuer's key",
        lambda mint: mint.token(header={"jwk": mint.keys["ES256"].as_dict(private=False)}),
    ),
    with_header("jku", jku="https://attacker.example/jwks.json"),
    with_header("jku of the cloud's metadata", jku="http://169.254.169.254/latest/meta-data/"),
    with_header("x5u", x5u="https://attacker.example/certificate.pem"),
    with_header("x5c", x5c=["MIIB"]),
    with_header("x5c empty", x5c=[]),
    with_header("jwk null", jwk=None),
    with_header("crit with a known name", crit=["exp"], exp=1),
    with_header("crit with an unknown name", crit=["urn:unknown"]),
    with_header("crit empty", crit=[]),
    with_header("crit null", crit=None),
    with_header("crit with alg", crit=["alg"]),
    with_header("b64 true", b64=True),
    with_header("b64 false", b64=False),
    with_header("b64 false in crit", b64=False, crit=["b64"]),
    Entry(
        "b64 false with a payload that is not encoded",
        lambda mint: mint.seal(
            f"{encode(mint.header({'b64': False, 'crit': ['b64']}))}.{mint.claims().replace('.', '')}"
        ),
    ),
    with_header("alg twice", alg=Raw('"none","alg":"ES256"')),
    with_header("alg twice, first the valid one", alg=Raw('"ES256","alg":"none"')),
    with_header("alg twice, once with an escape", alg=Raw('"ES256","\\u0061lg":"ES256"')),
    with_header("kid twice", kid=Raw('"es256","kid":"es256"')),
    with_header("a repeated name in an object of the header", note=Raw('{"a":1,"a":1}')),
    with_header("a header that is nested 17 levels deep", note=nested(16)),
    with_header("a header that is nested 2000 levels deep", note=nested(2000)),
    with_header("a lone surrogate in the header", note=Raw('"\\ud800"')),
    with_header("an infinite number in the header", note=Raw("1e400")),
    with_header("NaN in the header", note=Raw("NaN")),
    with_raw_header("a header that is a list", lambda _: '["ES256"]'),
    with_raw_header("a header that is a string", lambda _: '"ES256"'),
    with_raw_header("a header that is null", lambda _: "null"),
    with_raw_header("a header that is not JSON", lambda _: "alg=ES256"),
    with_raw_header("a header with a byte order mark", lambda mint: "\ufeff" + mint.header()),
    with_raw_header("a header in UTF-16", lambda mint: mint.header().encode("utf-16")),
    with_raw_header("a header in UTF-32", lambda mint: mint.header().encode("utf-32-le")),
    with_raw_header(
        "a header with invalid UTF-8", lambda mint: mint.header().encode()[:-1] + b',"a":"\xff"}'
    ),
    with_raw_header("a header followed by NUL", lambda mint: mint.header() + "\0"),
    with_raw_header("a header with a comment", lambda mint: mint.header() + "/**/"),
    with_raw_header("a header with a trailing comma", lambda mint: mint.header()[:-1] + ",}"),
    with_raw_header("a header in single quotes", lambda mint: mint.header().replace('"', "'")),
    with_raw_header("two headers", lambda mint: mint.header() * 2),
]

KEY_IDS = [
    with_header("kid unknown", kid="unknown"),
    with_header("kid missing, of an issuer with several keys", kid=MISSING),
    with_header("kid of a key of RSA", kid="rs256"),
    with_header("kid of a key of P-384", kid="es384"),
    with_header("kid of a key of Ed25519", kid="eddsa"),
    with_header("kid in another case", kid="ES256"),
    with_header("kid with a space", kid="es256 "),
    with_header("kid with a NUL", kid="es256\0"),
    with_header("kid a path", kid="../../dev/null"),
    with_header("kid an absolute path", kid="/proc/self/environ"),
    with_header("kid SQL", kid="x' UNION SELECT 'secret' --"),
    with_header("kid a command", kid="es256; sleep 10 |"),
    with_header("kid a URL", kid="https://attacker.example/key"),
    with_header("kid forging a line of a log", kid="x\r\n2026-01-01 accepted"),
    Entry("a stranger's signature, with the issuer's kid", lambda mint: stranger(mint, "es256")),
    Entry("a stranger's signature, with its own kid", lambda mint: stranger(mint, STRANGER)),
]

MALFORMED_KEY_IDS = [
    with_header("kid a number", kid=256),
    with_header("kid a list", kid=["es256"]),
    with_header("kid an object", kid={"es256": 1}),
    with_header("kid null", kid=None),
    with_header("kid true", kid=True),
    with_header("kid empty", kid=""),
    with_header("kid of 257 characters", kid="k" * 257),
    with_header("kid of 5000 characters", kid="k" * 5000),
]


def stranger(mint: Mint, kid: str) -> str:
    """Return a token that a stranger signed."""
    return mint.token(header={"kid": kid, "alg": "ES256"}, key=STRANGER)


PARTS = [
    Entry("an empty text", lambda _: ""),
    Entry("two dots", lambda _: ".."),
    Entry("a word", lambda _: "token"),
    Entry("a megabyte", lambda _: "A" * 1_000_000),
    Entry("a megabyte of dots", lambda _: "." * 1_000_000),
    Entry("a megabyte behind a valid token", lambda mint: mint.token() + "A" * 1_000_000),
    Entry("a megabyte of claims", lambda mint: mint.token(claims={"note": "x" * 1_000_000})),
    Entry("a token of 8193 characters", lambda mint: sized(mint, 8193)),
    unsigned("one part", lambda token: token.partition(".")[0]),
    unsigned("two parts", lambda token: token.rpartition(".")[0]),
    unsigned("four parts", lambda token: token + ".AAAA"),
    unsigned("four parts, the last one empty", lambda token: token + "."),
    unsigned("four parts, the first one empty", lambda token: "." + token),
    unsigned("five parts", lambda token: token + ".AAAA.AAAA"),
    unsigned("two tokens", lambda token: f"{token}.{token}"),
    unsigned("two tokens with a comma", lambda token: f"{token},{token}"),
    Entry(
        "an encrypted token (JWE)",
        lambda mint: ".".join([encode(mint.header({"alg": "dir", "enc": "A256GCM"})), "", *["AAAA"] * 3]),
    ),
    unsigned(
        "JSON serialization",
        lambda token: json.dumps(
            dict(zip(["protected", "payload", "signature"], token.split("."), strict=True))
        ),
    ),
    with_text("a header whose length no base64 has", lambda header, claims: f"{too_long(header)}.{claims}"),
    with_text("a payload whose length no base64 has", lambda header, claims: f"{header}.{too_long(claims)}"),
    with_text("an empty header", lambda _, claims: f".{claims}"),
    with_text("an empty payload", lambda header, _: f"{header}."),
    with_text("header and payload swapped", lambda header, claims: f"{claims}.{header}"),
    unsigned("an empty signature", lambda token: token.rpartition(".")[0] + "."),
    unsigned("the scheme before the token", lambda token: f"Bearer {token}"),
    unsigned("quotes around the token", lambda token: f'"{token}"'),
    *[
        with_text(
            f"{name} in the {part}",
            lambda header, claims, character=character, part=part: (
                f"{header}{character}.{claims}" if part == "header" else f"{header}.{claims}{character}"
            ),
        )
        for name, character in [
            ("a newline", "\n"),
            ("a space", " "),
            ("a tab", "\t"),
            ("a NUL", "\0"),
            ("padding", "="),
            ("four padding characters", "===="),
            ("an exclamation mark", "!"),
            ("a letter beyond ASCII", "é"),
        ]
        for part in ("header", "payload")
    ],
    *[
        unsigned(f"{name} after the signature", lambda token, character=character: token + character)
        for name, character in [("a newline", "\n"), ("a space", " "), ("a NUL", "\0"), ("padding", "==")]
    ],
    unsigned("a newline before the token", lambda token: "\n" + token),
    unsigned("a newline after the first dot", lambda token: token.replace(".", ".\n", 1)),
    unsigned("a fullwidth full stop", lambda token: token.replace(".", "\uff0e")),
    unsigned("a lone surrogate in the text", lambda token: token + "\ud800"),
    Entry(
        "the alphabet of plain base64",
        lambda mint: mint.seal(
            f"{encode(mint.header())}.{encode(mint.claims({'note': '???>>>~~~'})).translate(PLAIN)}"
        ),
    ),
    *[
        Entry(
            f"a non-canonical last character in the header, {remainder} of 3 bytes",
            lambda mint, remainder=remainder: mint.seal(
                non_canonical(of_length(remainder, lambda size: mint.header({"note": "x" * size})))
                + f".{encode(mint.claims())}"
            ),
        )
        for remainder in (1, 2)
    ],
    *[
        Entry(
            f"a non-canonical last character in the payload, {remainder} of 3 bytes",
            lambda mint, remainder=remainder: mint.seal(
                f"{encode(mint.header())}."
                + non_canonical(of_length(remainder, lambda size: mint.claims({"note": "x" * size})))
            ),
        )
        for remainder in (1, 2)
    ],
    unsigned("a non-canonical last character in the signature", non_canonical),
]
PLAIN = str.maketrans("-_", "+/")

SIGNATURES = [
    with_signature("a zero signature", lambda _: bytes(64)),
    with_signature("r is zero", lambda signature: bytes(32) + signature[32:]),
    with_signature("s is zero", lambda signature: signature[:32] + bytes(32)),
    with_signature("r and s are one", lambda _: unpair(1, 1)),
    with_signature("r and s are the order of the curve", lambda _: unpair(P256_ORDER, P256_ORDER)),
    with_signature("r and s are as large as they fit", lambda _: b"\xff" * 64),
    with_signature("a signature in DER", lambda signature: utils.encode_dss_signature(*pair(signature))),
    with_signature("a truncated signature", lambda signature: signature[:-1]),
    with_signature("half of a signature", lambda signature: signature[:32]),
    with_signature("an extended signature", lambda signature: signature + b"\0"),
    with_signature("a signature with zeros before it", lambda signature: b"\0\0" + signature),
    with_signature("a signature twice", lambda signature: signature * 2),
    with_signature("r and s swapped", lambda signature: signature[32:] + signature[:32]),
    with_signature("one bit of the signature", lambda signature: signature[:-1] + bytes([signature[-1] ^ 1])),
    with_signature(
        "the signature (r, n - s), as valid as (r, s)",
        lambda signature: unpair(pair(signature)[0], P256_ORDER - pair(signature)[1]),
        accepted=True,
    ),
    Entry("the signature (R, S + L) by Ed25519", lambda mint: mint.resigned(malleated_ed25519, "Ed25519")),
    Entry("a zero signature by Ed25519", lambda mint: mint.resigned(lambda _: bytes(64), "Ed25519")),
    Entry("a zero signature by RS256", lambda mint: mint.resigned(lambda _: bytes(256), "RS256")),
    Entry(
        "a signature by RS256 of one",
        lambda mint: mint.resigned(lambda _: b"\0" * 255 + b"\1", "RS256"),
    ),
    Entry("a truncated signature by RS256", lambda mint: mint.resigned(lambda old: old[:-1], "RS256")),
    Entry("a signature by PS256 without its leading zero", without_leading_zero),
    Entry("an extended signature by PS256", lambda mint: mint.resigned(lambda old: b"\0" + old, "PS256")),
    Entry(
        "the signature of another token",
        lambda mint: (
            f"{mint.token().rpartition('.')[0]}.{mint.token(claims={'sub': 'eve'}).rpartition('.')[2]}"
        ),
    ),
    Entry(
        "claims changed after they were signed",
        lambda mint: mint.token().replace(
            encode(mint.claims()), encode(mint.claims({"scope": "users:read users:write metrics:read"}))
        ),
    ),
    Entry(
        "a hash instead of a signature",
        lambda mint: mint.resigned(lambda _: hashlib.sha512(mint.claims().encode()).digest()),
    ),
]

NOT_DATES: dict[str, Any] = {
    "a string": "4102444800",
    "an empty string": "",
    "true": True,
    "false": False,
    "null": None,
    "a list": [4102444800],
    "an object": {"seconds": 4102444800},
    "NaN": Raw("NaN"),
    "Infinity": Raw("Infinity"),
    "-Infinity": Raw("-Infinity"),
    "1e400": Raw("1e400"),
    "10^300": Raw("1" + "0" * 300),
    "10^5000": Raw("1" + "0" * 5000),
    "1e18": Raw("1e18"),
    "negative": -1,
    "hexadecimal": Raw("0x7fffffff"),
}
DATES = [
    *[
        with_claim(f"{claim} {name}", claim, value)
        for claim in ("exp", "nbf", "iat")
        for name, value in NOT_DATES.items()
    ],
    with_claim("exp missing", "exp", MISSING),
    with_claim("exp zero", "exp", 0),
    with_claim("exp twice", "exp", Raw('0,"exp":4102444800')),
    with_claim("exp twice, once with an escape", "exp", Raw('4102444800,"\\u0065xp":0')),
    with_claims("exp in milliseconds", lambda mint: {"exp": (int(mint.now) + 900) * 1000}),
    with_claims("exp 29 s ago", lambda mint: {"exp": mint.now - 29}, accepted=True),
    with_claims("exp 31 s ago", lambda mint: {"exp": mint.now - 31}),
    with_claims("exp a fraction", lambda mint: {"exp": mint.now + 0.5}, accepted=True),
    with_claim("exp in 2100", "exp", 4102444800, accepted=True),
    with_claim("iat missing", "iat", MISSING),
    with_claim("iat zero", "iat", 0, accepted=True),
    with_claims("iat in 29 s", lambda mint: {"iat": mint.now + 29}, accepted=True),
    with_claims("iat in 31 s", lambda mint: {"iat": mint.now + 31}),
    with_claims("iat in 31 s, nbf now", lambda mint: {"iat": mint.now + 31, "nbf": mint.now}),
    with_claim("nbf zero", "nbf", 0, accepted=True),
    with_claims("nbf now", lambda mint: {"nbf": mint.now}, accepted=True),
    with_claims("nbf in 29 s", lambda mint: {"nbf": mint.now + 29}, accepted=True),
    with_claims("nbf in 31 s", lambda mint: {"nbf": mint.now + 31}),
]

ISSUERS = [
    with_claim("iss missing", "iss", MISSING),
    with_claim("iss another one", "iss", "https://attacker.example"),
    with_claims("iss a prefix", lambda mint: {"iss": mint.issuer[:-1]}),
    with_claims("iss with a suffix", lambda mint: {"iss": mint.issuer + ".attacker.example"}),
    with_claims("iss with a path", lambda mint: {"iss": mint.issuer + "/tenant"}),
    with_claims("iss with a trailing slash", lambda mint: {"iss": mint.issuer + "/"}),
    with_claims("iss in another case", lambda mint: {"iss": mint.issuer.upper()}),
    with_claims("iss with a space", lambda mint: {"iss": mint.issuer + " "}),
    with_claims("iss a list", lambda mint: {"iss": [mint.issuer]}),
    with_claims("iss an object", lambda mint: {"iss": {mint.issuer: True}}),
    with_claim("iss a number", "iss", 1),
    with_claim("iss null", "iss", None),
    with_claim("iss empty", "iss", ""),
    with_claims("iss twice", lambda mint: {"iss": Raw(f'"https://attacker.example","iss":"{mint.issuer}"')}),
]

AUDIENCES = [
    with_claim("aud missing", "aud", MISSING),
    with_claim("aud another one", "aud", "https://other.example"),
    with_claims("aud a prefix", lambda mint: {"aud": mint.audience[:-1]}),
    with_claims("aud with a suffix", lambda mint: {"aud": mint.audience + ".attacker.example"}),
    with_claims("aud with a trailing slash", lambda mint: {"aud": mint.audience + "/"}),
    with_claims("aud in another case", lambda mint: {"aud": mint.audience.upper()}),
    with_claims("aud separated by spaces", lambda mint: {"aud": f"{mint.audience} https://other.example"}),
    with_claims("aud a list of one", lambda mint: {"aud": [mint.audience]}, accepted=True),
    with_claims(
        "aud in a list of two", lambda mint: {"aud": ["https://other.example", mint.audience]}, accepted=True
    ),
    with_claims(
        "aud in a list of 200", lambda mint: {"aud": ["other"] * 199 + [mint.audience]}, accepted=True
    ),
    with_claims("aud in a list of 100,000", lambda mint: {"aud": ["other"] * 99_999 + [mint.audience]}),
    with_claim("aud a list of others", "aud", ["https://other.example", ""]),
    with_claims("aud a list of prefixes", lambda mint: {"aud": [mint.audience[:-1], mint.audience[:-2]]}),
    with_claims("aud in a nested list", lambda mint: {"aud": [[mint.audience]]}),
    with_claims("aud in a list with a number", lambda mint: {"aud": [mint.audience, 1]}),
    with_claims("aud in a list with null", lambda mint: {"aud": [mint.audience, None]}),
    with_claim("aud an empty list", "aud", []),
    with_claims("aud an object", lambda mint: {"aud": {mint.audience: True}}),
    with_claim("aud a number", "aud", 1),
    with_claim("aud null", "aud", None),
    with_claim("aud empty", "aud", ""),
]

NOT_NAMES: dict[str, Any] = {
    "missing": MISSING,
    "a number": 1,
    "null": None,
    "true": True,
    "a list": ["ada"],
    "an object": {"id": "ada"},
    "empty": "",
    "of 257 characters": "a" * 257,
    "with a newline": "ada\nadmin",
    "with a NUL": "ada\0",
    "with an escape for terminals": "\x1b[2Jada",
}
NAMES = [
    *[
        with_claim(f"{claim} {name}", claim, value)
        for claim in ("sub", "client_id", "jti")
        for name, value in NOT_NAMES.items()
    ],
    with_claim("client_id beyond ASCII", "client_id", "ad\u0430"),
    with_claim("client_id a URL", "client_id", "https://client.example/app?x=1#y", accepted=True),
]

SCOPES = [
    with_claim("scope missing", "scope", MISSING, accepted=True),
    with_claim("scope of one", "scope", "users:read", accepted=True),
    with_claim("scope twice the same", "scope", "users:read users:read", accepted=True),
    with_claim("scope with all characters", "scope", "!#$%&'()*+,-./:;<=>?@[]^_`{|}~ azAZ09", accepted=True),
    with_claim("scope of 100", "scope", " ".join(["x"] * 100), accepted=True),
    with_claim("scope of 101", "scope", " ".join(["x"] * 101)),
    with_claim("scope of 10,000", "scope", " ".join(["x"] * 10_000)),
    with_claim("scope a list", "scope", ["users:read"]),
    with_claim("scope an object", "scope", {"users:read": True}),
    with_claim("scope a number", "scope", 1),
    with_claim("scope null", "scope", None),
    with_claim("scope true", "scope", value=True),
    with_claim("scope empty", "scope", "", accepted=True),
    with_claim("scope a space", "scope", " "),
    with_claim("scope with a leading space", "scope", " users:read"),
    with_claim("scope with a trailing space", "scope", "users:read "),
    with_claim("scope with a trailing newline", "scope", "users:read\n"),
    with_claim("scope with double spaces", "scope", "users:read  users:write"),
    with_claim("scope with a tab", "scope", "users:read\tusers:write"),
    with_claim("scope with quotes", "scope", 'users:read "users:write"'),
    with_claim("scope with a backslash", "scope", "users\\read"),
    with_claim("scope with a NUL", "scope", "users:read\0"),
    with_claim("scope beyond ASCII", "scope", "users:r\u0435ad"),
    with_claim("scope with a no-break space", "scope", "users:read\u00a0users:write"),
    with_claim("scope member twice", "scope", Raw('"users:read","scope":"users:write"')),
    with_claim("scope member twice, once with an escape", "scope", Raw('"users:read","s\\u0063ope":"x"')),
]

PAYLOADS = [
    with_payload("claims that are a list", lambda mint: f"[{mint.claims()}]"),
    with_payload("claims that are a string", lambda mint: json.dumps(mint.claims())),
    with_payload("claims that are a number", lambda _: "1"),
    with_payload("claims that are null", lambda _: "null"),
    with_payload("claims that are true", lambda _: "true"),
    with_payload("claims that are an empty object", lambda _: "{}"),
    with_payload("claims that are a token", lambda mint: mint.token()),
    with_payload("claims that are not JSON", lambda _: "sub=ada"),
    with_payload("claims that are compressed", lambda mint: zlib.compress(mint.claims().encode())),
    with_payload("claims with a byte order mark", lambda mint: "\ufeff" + mint.claims()),
    with_payload("claims in UTF-16", lambda mint: mint.claims().encode("utf-16")),
    with_payload(
        "claims in UTF-16 without a byte order mark", lambda mint: mint.claims().encode("utf-16-le")
    ),
    with_payload(
        "claims with invalid UTF-8", lambda mint: mint.claims().encode().replace(b"ada", b"\xff\xfe")
    ),
    with_payload(
        "claims with overlong UTF-8", lambda mint: mint.claims().encode().replace(b"ada", b"\xc1\xa1")
    ),
    with_payload("claims with an encoded surrogate", lambda mint: mint.claims().replace("ada", "\ud800")),
    with_payload("claims followed by NUL", lambda mint: mint.claims() + "\0"),
    with_payload("claims with a trailing comma", lambda mint: mint.claims()[:-1] + ",}"),
    with_payload("claims without an end", lambda mint: mint.claims()[:-1]),
    with_payload("claims twice", lambda mint: mint.claims() * 2),
    with_claim("a lone surrogate in a claim", "sub", Raw('"\\ud800"')),
    with_claim("a lone low surrogate in a claim", "sub", Raw('"\\udc00"')),
    with_claim("a lone surrogate in a name", "note", Raw('1,"\\udfff":1')),
    with_claim("a control character in a claim", "sub", Raw('"a\nb"')),
    with_claim("a repeated name in an object", "note", Raw('{"a":1,"a":1}')),
    with_claim("a repeated name in an object in a list", "note", Raw('[[{"a":1,"\\u0061":2}]]')),
    with_claim("a claim that is nested 16 levels deep", "note", nested(16)),
    with_claim("a claim that is nested 900 levels deep", "note", nested(900)),
    with_claim("a claim that is nested 2500 levels deep", "note", nested(2500)),
    with_claim("a claim of 2500 opening brackets", "note", Raw("[" * 2500)),
    with_claim("a claim of objects in objects", "note", Raw('{"a":' * 600 + "1" + "}" * 600)),
    with_claim("a number with 5000 digits", "note", Raw("1" * 5000)),
    with_claim("a number with a leading zero", "note", Raw("01")),
    with_claims("500 more claims", lambda _: {str(number): 1 for number in range(500)}, accepted=True),
    with_claims(
        "500 more claims, one of them twice",
        lambda _: {**{str(number): 1 for number in range(500)}, "499": Raw('1,"0":1')},
    ),
]

ENTRIES: list[Entry] = [
    *VALID,
    *ALGORITHMS,
    *TYPES,
    *HEADERS,
    *KEY_IDS,
    *MALFORMED_KEY_IDS,
    *PARTS,
    *SIGNATURES,
    *DATES,
    *ISSUERS,
    *AUDIENCES,
    *NAMES,
    *SCOPES,
    *PAYLOADS,
]
