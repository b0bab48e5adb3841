"""Keys verify by their own algorithms only; an issuer's unusable keys are ignored, our own are rejected."""

import base64
import hashlib
import json
from collections.abc import Mapping
from itertools import count
from time import process_time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from tests.support.token_corpus import EC_CURVES, RSA_NAMES, encode, signing_keys
from users_api.access.algorithms import ALGORITHMS, MODELS
from users_api.access.keys import PublicKey, PublicKeys, SigningKeys, generate_key

MESSAGE = b"header.claims"
# RFC 7515, A.3: these keys are public.
EXAMPLE_KEY = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",  # pragma: allowlist secret
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",  # pragma: allowlist secret
}
EXAMPLE_PRIVATE_KEY = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"  # pragma: allowlist secret
EXAMPLE_MESSAGE = (
    b"eyJhbGciOiJFUzI1NiJ9"
    b".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
)
EXAMPLE_SIGNATURE = (
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmX"  # pragma: allowlist secret
    "FCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"  # pragma: allowlist secret
)


@pytest.fixture(scope="module")
def private_keys() -> Mapping[str, Key]:
    return signing_keys()


def jwk(key: Key, **members: Any) -> dict[str, Any]:
    """Return a public key as a document, with further members."""
    return {**key.as_dict(private=False), **members}


def parse_one(document: Mapping[str, Any]) -> PublicKey:
    """Return the only key of a set."""
    (key,) = PublicKeys.parse({"keys": [document]}).find(None)
    return key


def rsa_jwk(modulus: int, exponent: int) -> dict[str, Any]:
    """Return a key of RSA as a document."""
    numbers = {"n": modulus, "e": exponent}
    octets = {name: each.to_bytes((each.bit_length() + 7) // 8, "big") for name, each in numbers.items()}
    return {"kty": "RSA", **{name: encode(each) for name, each in octets.items()}}


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_a_key_verifies_by_its_own_algorithm_only(algorithm: str, private_keys) -> None:
    key = parse_one(jwk(private_keys[algorithm], alg=algorithm))
    signature = MODELS[algorithm].sign(MESSAGE, private_keys[algorithm])

    verifying = {name for name in [*ALGORITHMS, "none", "HS256"] if key.verifies(name, MESSAGE, signature)}

    assert verifying == {algorithm}
    assert not key.verifies(algorithm, MESSAGE + b"x", signature)


def test_the_example_of_the_standard_verifies() -> None:
    signature = base64.urlsafe_b64decode(EXAMPLE_SIGNATURE + "==")

    assert parse_one(EXAMPLE_KEY).verifies("ES256", EXAMPLE_MESSAGE, signature)


@pytest.mark.parametrize("algorithm", ["none", "HS256", "HS512", "EdDSA", ""])
def test_neither_secrets_nor_nothing_ever_verify(algorithm: str) -> None:
    secret = OctKey.import_key(b"0123456789abcdef0123456789abcdef")

    assert not PublicKey("k", frozenset({"none", "HS256", "HS512"}), secret).verifies(algorithm, MESSAGE, b"")


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_no_wrong_signature_verifies_or_raises(algorithm: str, private_keys) -> None:
    key = parse_one(jwk(private_keys[algorithm], alg=algorithm))
    valid = MODELS[algorithm].sign(MESSAGE, private_keys[algorithm])
    size, half = len(valid), len(valid) // 2

    wrong = [
        b"",
        bytes(size),
        b"\xff" * size,
        valid[:-1],
        valid[1:],
        valid + b"\0",
        b"\0" + valid,
        valid * 2,
        valid[::-1],
        valid[half:] + valid[:half],
        bytes(half) + valid[half:],
        valid[:half] + bytes(half),
        utils.encode_dss_signature(int.from_bytes(valid[:half], "big"), int.from_bytes(valid[half:], "big")),
        b"x" * 8192,
    ]

    assert [each for each in wrong if key.verifies(algorithm, MESSAGE, each)] == []


@pytest.mark.parametrize("algorithm", RSA_NAMES)
def test_a_signature_without_its_leading_zero_does_not_verify(algorithm: str, private_keys) -> None:
    key = parse_one(jwk(private_keys[algorithm], alg=algorithm))
    model, private = MODELS[algorithm], private_keys[algorithm]
    signed = ((message, model.sign(message, private)) for message in (b"%d" % number for number in count()))
    message, signature = next(pair for pair in signed if pair[1].startswith(b"\0"))

    assert key.verifies(algorithm, message, signature)
    assert not key.verifies(algorithm, message, signature[1:])


def test_keys_that_name_no_algorithm_have_the_one_of_their_curve(private_keys) -> None:
    named = {name: parse_one(jwk(private_keys[name])).algorithms for name in (*EC_CURVES, "Ed25519", "RS512")}

    assert named == {
        "ES256": {"ES256"},
        "ES384": {"ES384"},
        "ES512": {"ES512"},
        "Ed25519": {"Ed25519", "EdDSA"},
        "RS512": {"RS256"},
    }


@pytest.mark.parametrize("name", RSA_NAMES)
def test_a_key_of_rsa_is_for_the_algorithm_that_it_names(name: str, private_keys) -> None:
    assert parse_one(jwk(private_keys[name], alg=name, use="sig", key_ops=["verify"])).algorithms == {name}


@pytest.mark.parametrize(
    "members",
    [
        {"use": "enc"},
        {"use": None},
        {"use": ["sig"]},
        {"key_ops": ["encrypt"]},
        {"key_ops": []},
        {"key_ops": None},
        {"key_ops": "verify"},
        {"key_ops": 1},
        {"alg": "ES384"},
        {"alg": "HS256"},
        {"alg": "none"},
        {"alg": "ECDH-ES"},
        {"alg": None},
        {"alg": ["ES256"]},
        {"kid": 1},
        {"kid": ["k"]},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "RSA"},
        {"kty": "OKP"},
        {"kty": "unknown"},
        {"kty": None},
        {"kty": ["EC"]},
        {"crv": "P-384"},
        {"crv": "secp256k1"},
        {"crv": "X25519"},
        {"crv": None},
        {"crv": {"P-256": 1}},
        {"x": ""},
        {"x": 1},
        {"x": None},
        {"x": "AAAA"},
        {"x": EXAMPLE_KEY["y"]},
        {"x": EXAMPLE_KEY["x"] + "="},
        {"x": "\u00e9"},
        {"x": "\ud800"},
        {"d": EXAMPLE_PRIVATE_KEY},
    ],
    ids=json.dumps,
)
def test_a_key_that_is_not_usable_is_ignored(members, private_keys) -> None:
    usable = jwk(private_keys["ES256"], kid="usable")

    keys = PublicKeys.parse({"keys": [{**EXAMPLE_KEY, "kid": "ignored", **members}, usable]})

    assert [key.kid for key in keys.find(None)] == ["usable"]


@pytest.mark.parametrize("missing", ["kty", "crv", "x", "y"])
def test_an_incomplete_key_is_ignored(missing: str) -> None:
    document = {name: value for name, value in EXAMPLE_KEY.items() if name != missing}

    assert len(PublicKeys.parse({"keys": [document]})) == 0


@pytest.mark.parametrize("each", [None, 1, "key", [], [EXAMPLE_KEY], {}])
def test_what_is_no_key_is_ignored(each) -> None:
    assert len(PublicKeys.parse({"keys": [each, EXAMPLE_KEY]})) == 1


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_keys_of_rsa_have_2048_to_4096_bits(bits: int) -> None:
    assert len(PublicKeys.parse({"keys": [rsa_jwk(2**bits - 1, 2**32 - 1)]})) == 1


@pytest.mark.parametrize(
    ("modulus", "exponent"),
    [
        (2**2047 - 1, 65537),
        (2**1024 - 1, 65537),
        (2**4097 - 1, 65537),
        (2**1_000_000 - 1, 65537),
        (2**2048 - 1, 2**32 + 1),
        (2**2048 - 1, 2**2047 + 1),
        (2**2048 - 1, 0),
        (2**2048 - 1, 1),
        (2**2048 - 1, 2),
        (2**2048 - 2, 65537),
        (0, 65537),
    ],
    ids=lambda number: f"{number.bit_length()}-bits",
)
def test_weak_and_slow_keys_of_rsa_are_ignored(modulus: int, exponent: int) -> None:
    assert len(PublicKeys.parse({"keys": [rsa_jwk(modulus, exponent)]})) == 0


@pytest.mark.parametrize("members", [{"n": "AQAB"}, {"n": 1}, {"n": None}, {"e": "\n"}, {"e": ["AQAB"]}])
def test_malformed_keys_of_rsa_are_ignored(members) -> None:
    assert len(PublicKeys.parse({"keys": [{**rsa_jwk(2**2048 - 1, 65537), **members}]})) == 0


def test_the_slowest_key_of_rsa_takes_little_cpu() -> None:
    slow = rsa.RSAPublicNumbers(2**32 - 1, 2**4096 - 1).public_key()
    key = parse_one(jwk(RSAKey.import_key(slow)))
    start = process_time()

    assert not any(key.verifies("RS256", MESSAGE, bytes([each]) * 512) for each in range(10))

    assert process_time() - start < 0.02


@pytest.mark.parametrize(
    "document",
    [None, 1, "keys", [], [EXAMPLE_KEY], {}, EXAMPLE_KEY, {"keys": None}, {"keys": {}}, {"keys": [{}] * 101}],
    ids=lambda document: json.dumps(document)[:20],
)
def test_what_is_no_key_set_is_rejected(document) -> None:
    with pytest.raises(ValueError, match=r"^they are not a set of up to 100 JSON Web Keys$"):
        PublicKeys.parse(document)


def test_keys_are_found_by_their_id() -> None:
    keys = [
        PublicKey(kid, frozenset({"ES256"}), ECKey.generate_key("P-256")) for kid in ("a", "b", "a", None)
    ]

    found = PublicKeys(keys)

    assert len(found) == 4
    assert [found.find(kid) for kid in ("a", "b", "c", "", None)] == [
        [keys[0], keys[2]],
        [keys[1]],
        [],
        [],
        [],
    ]
    assert PublicKeys(keys[:1]).find(None) == keys[:1]
    assert PublicKeys(keys[3:]).find(None) == keys[3:]
    assert PublicKeys([]).find(None) == []


def test_at_most_three_keys_have_one_id() -> None:
    keys = [PublicKey("same", frozenset({"Ed25519"}), OKPKey.generate_key("Ed25519")) for _ in range(4)]

    assert PublicKeys(keys).find("same") == keys[:3]


def test_a_generated_key_signs_and_verifies() -> None:
    keys = SigningKeys.parse(generate_key())

    token = keys.sign({"typ": "at+jwt"}, {"sub": "ada"})

    header, claims, signature = (base64.urlsafe_b64decode(part + "==") for part in token.split("."))
    (key,) = keys.public.find(keys.kid)
    assert json.loads(header) == {"typ": "at+jwt", "alg": "ES256", "kid": keys.kid}
    assert json.loads(claims) == {"sub": "ada"}
    assert key.verifies("ES256", token.rpartition(".")[0].encode(), signature)


def test_the_first_key_signs_and_all_verify() -> None:
    old, new = generate_key(), generate_key()
    token = SigningKeys.parse(old).sign({}, {})
    message, _, signature = token.rpartition(".")

    keys = SigningKeys.parse(f" {new} , {old} ")

    (key,) = keys.public.find(SigningKeys.parse(old).kid)
    assert keys.kid == SigningKeys.parse(new).kid
    assert len(keys.public) == 2
    assert key.verifies("ES256", message.encode(), base64.urlsafe_b64decode(signature + "=="))


def test_the_public_documents_have_no_secrets_and_the_thumbprint_as_id() -> None:
    canonical = json.dumps(dict(sorted(EXAMPLE_KEY.items())), separators=(",", ":"))
    thumbprint = encode(hashlib.sha256(canonical.encode()).digest())

    keys = SigningKeys.parse(EXAMPLE_PRIVATE_KEY)

    assert keys.kid == thumbprint
    assert keys.public_documents() == [{**EXAMPLE_KEY, "kid": thumbprint, "use": "sig", "alg": "ES256"}]


def test_generated_keys_are_different_and_have_43_characters() -> None:
    keys = [generate_key() for _ in range(20)]

    assert len(set(keys)) == 20
    assert {len(key) for key in keys} == {43}


def test_a_key_may_be_written_in_hexadecimal_digits() -> None:
    content = bytes(range(1, 33))

    keys = [SigningKeys.parse(text).kid for text in (content.hex(), content.hex().upper(), encode(content))]

    assert len(set(keys)) == 1


WRONG_LENGTH = "must be keys of 43 characters, or of 64 hexadecimal digits, with commas between, not of {}"
WRONG_TEXT = "must be private keys of P-256 in base64url or hexadecimal digits, not other text"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", WRONG_LENGTH.format(0)),
        ("secret", WRONG_LENGTH.format(6)),
        (EXAMPLE_PRIVATE_KEY + "=", WRONG_LENGTH.format(44)),
        (EXAMPLE_PRIVATE_KEY + ",", WRONG_LENGTH.format(0)),
        (f"{EXAMPLE_PRIVATE_KEY} {EXAMPLE_PRIVATE_KEY}", WRONG_LENGTH.format(87)),
        (EXAMPLE_PRIVATE_KEY[:-1] + "J", WRONG_TEXT),
        (EXAMPLE_PRIVATE_KEY[:-1] + "!", WRONG_TEXT),
        (EXAMPLE_PRIVATE_KEY[:-1] + "\u00e9", WRONG_TEXT),
        (encode(bytes(32)), WRONG_TEXT),
        (encode(b"\xff" * 32), WRONG_TEXT),
        (encode(ec.SECP256R1().group_order.to_bytes(32, "big")), WRONG_TEXT),
        (f"{EXAMPLE_PRIVATE_KEY},{EXAMPLE_PRIVATE_KEY}", "must be different keys, not one of them twice"),
    ],
)
def test_texts_that_are_no_keys_are_rejected_without_showing_them(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r"^must be ") as error:
        SigningKeys.parse(text)

    assert str(error.value) == reason
    assert error.value.__suppress_context__ or error.value.__context__ is None
