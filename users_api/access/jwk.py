"""JSON Web Keys (RFC 7517): which ones verify the signatures of access tokens, and by which algorithms."""

from collections.abc import Mapping
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key

from users_api.access import base64url
from users_api.access.algorithms import CURVE_ALGORITHMS, RSA_ALGORITHMS

RSA_BITS: Final = range(2048, 4096 + 1)
RSA_EXPONENT_BITS: Final = 32  # Verification takes twice as long as by 65537, by 2048 bits fifty times.
DEFAULT_RSA_ALGORITHMS: Final = frozenset({"RS256"})
NO_ALGORITHMS: Final = frozenset[str]()
PUBLIC_MEMBERS: Final = ("kty", "n", "e", "crv", "x", "y")


def import_verification_key(document: Mapping[str, Any]) -> tuple[frozenset[str], Key] | None:
    """Return a key with the algorithms that it is for.

    Returns None for a key that is malformed, weak, slow, of an unknown type, or not for signatures, and for a
    private key: once published, it is no secret.
    """
    algorithms = _find_algorithms(document) if _is_for_signatures(document) else NO_ALGORITHMS
    if not algorithms or "d" in document:
        return None
    try:
        if document["kty"] == "RSA" and not _is_sound(document):
            return None
        public = {name: document[name] for name in PUBLIC_MEMBERS if name in document}
        return algorithms, JWKRegistry.import_key(public)
    except (JoseError, ValueError):
        return None


def _is_for_signatures(document: Mapping[str, Any]) -> bool:
    operations = document.get("key_ops", ["verify"])
    return document.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations


def _find_algorithms(document: Mapping[str, Any]) -> frozenset[str]:
    """Return the algorithms that a key is for; an RSA key that names none is for `RS256`."""
    if document.get("kty") == "RSA":
        known, default = RSA_ALGORITHMS, DEFAULT_RSA_ALGORITHMS
    else:
        known = default = CURVE_ALGORITHMS.get(
            (str(document.get("kty")), str(document.get("crv"))), NO_ALGORITHMS
        )
    return known & {str(document["alg"])} if "alg" in document else default


def _is_sound(document: Mapping[str, Any]) -> bool:
    """Return whether an RSA key is strong and fast enough; neither joserfc nor cryptography demands that."""
    modulus, exponent = (
        int.from_bytes(base64url.decode(str(document.get(name))), "big") for name in ("n", "e")
    )
    is_odd = modulus % 2 == 1
    return is_odd and modulus.bit_length() in RSA_BITS and exponent.bit_length() <= RSA_EXPONENT_BITS
