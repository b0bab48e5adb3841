"""The signature algorithms of access tokens (RFC 7518, 3.1; RFC 8037; RFC 9864): all of them asymmetric."""

from typing import Any, Final

from joserfc.jws import JWSRegistry

RSA_ALGORITHMS: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
CURVE_ALGORITHMS: Final = {
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    ("OKP", "Ed25519"): frozenset({"Ed25519", "EdDSA"}),
}
ALGORITHMS: Final = RSA_ALGORITHMS.union(*CURVE_ALGORITHMS.values())
# RFC 9864 renames EdDSA; joserfc warns of the old name.
MODELS: Final[dict[str, Any]] = {
    name: JWSRegistry.algorithms["Ed25519" if name == "EdDSA" else name] for name in ALGORITHMS
}
