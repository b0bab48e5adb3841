"""The keys of access tokens: those of an issuer, each with the algorithms that it is for, and our own."""

import binascii
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Self

from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey, Key, RSAKey

from users_api.access import base64url
from users_api.access.algorithms import MODELS
from users_api.access.jwk import import_verification_key

SIGNING_ALGORITHM: Final = "ES256"
PRIVATE_KEY_BYTES: Final = 32
PRIVATE_KEY_LENGTH: Final = 43
MAX_KEYS: Final = 100
MAX_KEYS_PER_ID: Final = 3  # Each one may have to be tried, which takes up to 0.9 ms.


class PublicKey(NamedTuple):
    """A key that verifies signatures, and the algorithms that tokens signed with it may name.

    The algorithm belongs to the key; a token that names another one is rejected (RFC 8725, 3.1).
    """

    kid: str | None
    algorithms: frozenset[str]
    key: Key

    def verifies(self, algorithm: str, message: bytes, signature: bytes) -> bool:
        """Return whether this key is for the algorithm, and has signed the message with it."""
        model = MODELS.get(algorithm) if algorithm in self.algorithms else None
        if model is None or not _is_complete(signature, self.key):
            return False
        return model.verify(message, signature, self.key) is True


def _is_complete(signature: bytes, key: Key) -> bool:
    """Return whether a signature has all of its octets (RFC 8017, 8.1.2).

    OpenSSL accepts RSASSA-PSS without the zeros at the beginning, which gives a token a second signature.
    """
    return not isinstance(key, RSAKey) or len(signature) == (key.raw_value.key_size + 7) // 8


class PublicKeys:
    """The keys of an issuer; those with one id are alternatives, of which the first three count."""

    def __init__(self, keys: Iterable[PublicKey]) -> None:
        """Store the keys."""
        self._by_kid: dict[str | None, list[PublicKey]] = {}
        for key in keys:
            self._by_kid.setdefault(key.kid, []).append(key)

    @classmethod
    def parse(cls, jwks: Any) -> Self:
        """Return the usable keys of a JSON Web Key Set; others are ignored (RFC 7517, 5).

        Raises:
            ValueError: the document is not a key set, or has more than 100 keys.
        """
        keys = jwks.get("keys") if isinstance(jwks, dict) else None
        if not isinstance(keys, list) or len(keys) > MAX_KEYS:
            message = f"they are not a set of up to {MAX_KEYS} JSON Web Keys"
            raise ValueError(message)
        return cls(key for each in keys if isinstance(each, dict) and (key := _parse_public_key(each)))

    def __len__(self) -> int:
        """Return how many keys there are."""
        return sum(map(len, self._by_kid.values()))

    def find(self, kid: str | None) -> Sequence[PublicKey]:
        """Return the keys with this id; a token without an id must be signed with the issuer's only key."""
        if kid is not None:
            return self._by_kid.get(kid, [])[:MAX_KEYS_PER_ID]
        return next(iter(self._by_kid.values())) if len(self) == 1 else []


def _parse_public_key(document: Mapping[str, Any]) -> PublicKey | None:
    kid, imported = document.get("kid"), import_verification_key(document)
    return PublicKey(kid, *imported) if imported and isinstance(kid, str | None) else None


class SigningKeys:
    """The service's own keys: the first one signs, all of them verify."""

    def __init__(self, keys: Sequence[ECKey]) -> None:
        """Store the private keys, at least one, all of P-256."""
        self._keys = keys
        self.kid = keys[0].thumbprint()
        """The id of the key that signs: its thumbprint (RFC 7638)."""
        self.public = PublicKeys.parse({"keys": self.public_documents()})

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the keys of a text that `generate_key` returned, or of several of them with commas between.

        A key may also have 64 hexadecimal digits, as platforms generate secrets.

        Raises:
            ValueError: it is something else; the message reads after the setting's name, and shows no key.
        """
        keys = [_parse_private_key(each.strip()) for each in text.split(",")]
        if len({key.thumbprint() for key in keys}) < len(keys):
            message = "must be different keys, not one of them twice"
            raise ValueError(message)
        return cls(keys)

    def sign(self, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
        """Return a JSON Web Token, signed with the first key; `alg` and `kid` are added to the header."""
        signed = {**header, "alg": SIGNING_ALGORITHM, "kid": self.kid}
        return jwt.encode(signed, dict(claims), self._keys[0], algorithms=[SIGNING_ALGORITHM])

    def public_documents(self) -> list[dict[str, Any]]:
        """Return the public keys as JSON Web Keys (RFC 7517)."""
        return [
            {**key.as_dict(private=False), "kid": key.thumbprint(), "use": "sig", "alg": SIGNING_ALGORITHM}
            for key in self._keys
        ]


def _parse_private_key(text: str) -> ECKey:
    if len(text) not in (PRIVATE_KEY_LENGTH, 2 * PRIVATE_KEY_BYTES):
        message = (
            f"must be keys of {PRIVATE_KEY_LENGTH} characters, or of {2 * PRIVATE_KEY_BYTES} hexadecimal "
            f"digits, with commas between, not of {len(text)}"
        )
        raise ValueError(message)
    try:
        content = base64url.decode(text) if len(text) == PRIVATE_KEY_LENGTH else binascii.unhexlify(text)
        number = int.from_bytes(content, "big")
        return ECKey.import_key(ec.derive_private_key(number, ec.SECP256R1()))
    except ValueError:
        message = "must be private keys of P-256 in base64url or hexadecimal digits, not other text"
        raise ValueError(message) from None


def generate_key() -> str:
    """Return a new private key of P-256 as text: base64url of 32 bytes."""
    number = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    return base64url.encode(number.to_bytes(PRIVATE_KEY_BYTES, "big"))
