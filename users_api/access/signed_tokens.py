"""JSON Web Tokens in JWS Compact Serialization (RFC 7515, 7.1), taken apart before they are verified."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Self

from users_api.access import base64url
from users_api.access.algorithms import ALGORITHMS
from users_api.access.strict_json import parse_object

MAX_LENGTH: Final = 8 * 1024
MAX_KID_LENGTH: Final = 256
MAX_EXCERPT: Final = 100
PARTS: Final = 3
TYPES: Final = frozenset({"at+jwt", "application/at+jwt"})
# Members that replace the issuer's keys, or change what is signed. `x5t` only names a certificate, as other
# unknown members it is ignored (RFC 7515, 4.1.7): Entra ID sends it in every token.
FORBIDDEN_MEMBERS: Final = ("b64", "crit", "jku", "jwk", "x5c", "x5u")


class SignedToken(NamedTuple):
    """A token whose form is right; nothing of it may be trusted before its signature is verified."""

    algorithm: str
    kid: str | None
    claims: dict[str, Any]
    message: bytes
    """What is signed."""
    signature: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take an access token apart (RFC 9068, 2.1).

        Raises:
            ValueError: it is too long, malformed, no access token, or has a header that is not accepted.
        """
        if len(text) > MAX_LENGTH:
            message = f"it has {len(text)} characters, more than {MAX_LENGTH}"
            raise ValueError(message)
        parts = text.split(".", maxsplit=PARTS)
        if len(parts) != PARTS:
            message = f"it does not have {PARTS} parts"
            raise ValueError(message)
        header, claims, signature = map(base64url.decode, parts)
        algorithm, kid = _check_header(_parse_object("header", header))
        if not signature:
            message = "its signature is empty"
            raise ValueError(message)
        signed = text.rpartition(".")[0].encode()
        return cls(algorithm, kid, _parse_object("payload", claims), signed, signature)


def excerpt(value: Any) -> str:
    """Return a value of a token for the log, in one line of ASCII."""
    return ascii(value)[:MAX_EXCERPT]


def _parse_object(name: str, text: bytes) -> dict[str, Any]:
    try:
        return parse_object(text)
    except ValueError as error:
        message = f"its {name} {error}"
        raise ValueError(message) from None


def _check_header(header: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return the algorithm and the id of the key that a header names."""
    kind, algorithm = header.get("typ"), header.get("alg")
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        message = f"its typ is {excerpt(kind)}, not 'at+jwt'"
    elif not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        message = f"its alg is {excerpt(algorithm)}, which is not accepted"
    elif forbidden := [name for name in FORBIDDEN_MEMBERS if name in header]:
        message = f"its header has the member {forbidden[0]}, which is not accepted"
    elif "kid" in header and not _is_kid(header["kid"]):
        message = f"its kid is {excerpt(header['kid'])}, not text of 1 to {MAX_KID_LENGTH} characters"
    else:
        return algorithm, header.get("kid")
    raise ValueError(message)


def _is_kid(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_KID_LENGTH
