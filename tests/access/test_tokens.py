"""Access tokens are verified as RFC 9068 and RFC 8725 demand, and nothing but a valid token is accepted."""

import json
from collections.abc import Callable
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from tests.support.token_corpus import (
    ENTRIES,
    HEADERS,
    MALFORMED_KEY_IDS,
    MISSING,
    PARTS,
    PAYLOADS,
    TYPES,
    Entry,
    Mint,
    encode,
    signing_keys,
    stranger,
)
from users_api.access.keys import PublicKey, PublicKeys
from users_api.access.tokens import AccessToken, InvalidToken, TokenVerifier, UnknownKey

NOW = 1_800_000_000.0
CPU_SECONDS = 0.005
WELL_FORMED = {"claims that are an empty object"}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=10,
)
HEADER_NAMES = st.sampled_from(["typ", "alg", "kid", "crit", "b64", "jwk", "x5c", "note"])
CLAIM_NAMES = st.sampled_from(["iss", "aud", "sub", "client_id", "jti", "scope", "iat", "exp", "nbf", "note"])


@pytest.fixture(scope="module")
def mint() -> Mint:
    return Mint("https://issuer.example", "https://users.example", NOW, signing_keys())


@pytest.fixture(scope="module")
def keys(mint: Mint) -> PublicKeys:
    return PublicKeys.parse(mint.jwks())


@pytest.fixture(scope="module")
def verifier(mint: Mint) -> TokenVerifier:
    return TokenVerifier(mint.issuer, mint.audience)


@pytest.fixture(scope="module")
def accepts(verifier: TokenVerifier, keys: PublicKeys) -> Callable[..., bool]:
    """Whether a token is accepted; any exception other than InvalidToken fails the test."""

    def accepts(token: str, now: float = NOW) -> bool:
        try:
            return isinstance(verifier.verify(token, keys, now), AccessToken)
        except InvalidToken:
            return False

    return accepts


def failure(verifier: TokenVerifier, token: str, keys: PublicKeys) -> InvalidToken:
    """Return why a token is rejected."""
    with pytest.raises(InvalidToken) as error:
        verifier.verify(token, keys, NOW)
    return error.value


def cpu_seconds(action: Callable[[], object]) -> float:
    """Return the CPU time that an action takes, the best of three."""
    times = []
    for _ in range(3):
        start = process_time()
        action()
        times.append(process_time() - start)
    return min(times)


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry.name for entry in ENTRIES])
def test_every_token_of_the_corpus_gets_its_expected_answer(entry: Entry, mint: Mint, accepts) -> None:
    assert accepts(entry.token(mint)) is entry.accepted


def test_the_corpus_is_large_and_its_names_are_different() -> None:
    names = [entry.name for entry in ENTRIES]

    assert len(set(names)) == len(names) >= 400
    assert all(name.isprintable() for name in names)


def test_a_valid_token_says_who_may_do_what_and_until_when(mint: Mint, keys, verifier) -> None:
    token = mint.token(claims={"sub": "grace", "client_id": "reports", "jti": "1f", "nbf": NOW - 60})

    assert verifier.verify(token, keys, NOW) == AccessToken(
        client_id="reports",
        subject="grace",
        scopes=frozenset({"users:read", "users:write"}),
        expires_at=NOW + 900,
        token_id="1f",
        issued_at=NOW,
    )


def test_a_token_is_accepted_until_30_s_after_it_expires(mint: Mint, accepts) -> None:
    token = mint.token()

    assert accepts(token, NOW + 929.9)
    assert not accepts(token, NOW + 930)


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_a_token_is_accepted_from_30_s_before_it_is_valid(claim: str, mint: Mint, accepts) -> None:
    assert accepts(mint.token(claims={claim: NOW + 30}))
    assert not accepts(mint.token(claims={claim: NOW + 30.1}))


def test_a_token_without_a_kid_is_signed_with_the_issuers_only_key(mint: Mint, keys, verifier) -> None:
    token = mint.token(header={"kid": MISSING})
    (only,) = keys.find("es256")

    assert verifier.verify(token, PublicKeys([only]), NOW).subject == "ada"
    assert verifier.verify(token, PublicKeys([only._replace(kid=None)]), NOW).subject == "ada"
    assert type(failure(verifier, token, keys)) is InvalidToken
    assert type(failure(verifier, token, PublicKeys([]))) is UnknownKey


def test_any_of_the_keys_with_one_id_verifies(mint: Mint, keys, verifier) -> None:
    alternatives = PublicKeys(
        [key._replace(kid="same") for kid in ("rs256", "es384", "es256") for key in keys.find(kid)]
    )

    for key in ("ES256", "ES384", "RS256"):
        token = mint.token(key=key, header={"kid": "same"})
        assert verifier.verify(token, alternatives, NOW).subject == "ada"


@pytest.mark.parametrize(
    "entry",
    [
        entry
        for group in (PARTS, HEADERS, MALFORMED_KEY_IDS, TYPES, PAYLOADS)
        for entry in group
        if not entry.accepted
    ],
    ids=lambda entry: entry.name,
)
def test_a_malformed_token_never_leads_to_a_fetch_of_keys(entry: Entry, mint: Mint, verifier) -> None:
    error = failure(verifier, entry.token(mint), PublicKeys([]))

    assert type(error) is (UnknownKey if entry.name in WELL_FORMED else InvalidToken)


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES256K", ""])
def test_an_algorithm_that_no_key_has_never_leads_to_a_fetch_of_keys(algorithm: str, mint, verifier) -> None:
    token = mint.token(header={"alg": algorithm, "kid": "unknown"})

    assert type(failure(verifier, token, PublicKeys([]))) is InvalidToken


def test_null_is_not_the_same_as_no_kid(mint: Mint, keys, verifier) -> None:
    token = mint.token(header={"kid": None})

    reason = str(failure(verifier, token, PublicKeys(keys.find("es256"))))

    assert reason == "its kid is None, not text of 1 to 256 characters"


def test_the_signature_is_verified_before_the_claims_are_read(mint: Mint, keys, verifier) -> None:
    text = f"{encode(mint.header())}.{encode(mint.claims({'exp': 0, 'iss': 1}))}"

    error = failure(verifier, mint.seal(text, key="stranger"), keys)

    assert str(error) == "its signature by ES256 is not of the issuer's key 'es256'"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": NOW - 3600}, "it expired 3600 s ago"),
        ({"nbf": NOW + 3600}, "it is not valid for another 3600 s"),
        (
            {"iss": "https://other.example"},
            "its iss is 'https://other.example', not 'https://issuer.example'",
        ),
        ({"aud": ["a", "b"]}, "its aud is ['a', 'b'], not 'https://users.example'"),
        ({"sub": "\n"}, r"its sub is '\n', not printable text of 1 to 256 characters"),
        ({"scope": " "}, "its scope is ' ', not 1 to 100 scopes with single spaces between"),
    ],
)
def test_the_reason_names_what_was_found_and_expected(
    claims, reason: str, mint: Mint, keys, verifier
) -> None:
    assert str(failure(verifier, mint.token(claims=claims), keys)) == reason


@pytest.mark.parametrize("entry", [each for each in ENTRIES if not each.accepted], ids=lambda each: each.name)
def test_a_rejected_token_takes_little_cpu_and_its_reason_is_a_short_line(
    entry: Entry, mint: Mint, keys, verifier
) -> None:
    token = entry.token(mint)

    seconds = cpu_seconds(lambda: failure(verifier, token, keys))

    reason = str(failure(verifier, token, keys))
    assert seconds < CPU_SECONDS
    assert reason.isascii()
    assert reason.isprintable()
    assert len(reason) < 250


def test_a_token_takes_little_cpu_even_if_many_slow_keys_have_its_id(mint: Mint, verifier) -> None:
    key = ECKey.generate_key("P-521", private=False)
    keys = PublicKeys([PublicKey("es512", frozenset({"ES512"}), key)] * 100)
    token = mint.token(key="ES512")

    assert cpu_seconds(lambda: failure(verifier, token, keys)) < CPU_SECONDS


def test_no_change_of_a_character_is_accepted(mint: Mint, accepts) -> None:
    token = mint.token()
    assert accepts(token)

    changed = [
        f"{token[:index]}{chr(ord(token[index]) ^ 1 << bit)}{token[index + 1 :]}"
        for index in range(len(token))
        for bit in range(8)
    ]

    assert [each for each in changed if accepts(each)] == []


def test_no_insertion_is_accepted(mint: Mint, accepts) -> None:
    token = mint.token()

    changed = [
        f"{token[:index]}{character}{token[index:]}"
        for index in range(len(token) + 1)
        for character in ".A_= \n\0\u00e9"
    ]

    assert [each for each in changed if accepts(each)] == []


def test_no_part_of_a_token_is_accepted(mint: Mint, accepts) -> None:
    token = mint.token()

    shorter = [
        part
        for index in range(len(token))
        for part in (token[:index], token[index + 1 :], token[:index] + token[index + 1 :])
    ]

    assert [each for each in shorter if accepts(each)] == []


@given(
    token=st.text()
    | st.text("eyJ.-_=A", max_size=60)
    | st.lists(st.binary(), max_size=5).map(lambda parts: ".".join(map(encode, parts)))
)
def test_no_text_is_accepted(token: str, accepts) -> None:
    assert not accepts(token)


@given(header=st.dictionaries(HEADER_NAMES, VALUES, min_size=1, max_size=3))
def test_any_header_is_accepted_or_rejected(header, mint: Mint, accepts) -> None:
    accepted = accepts(mint.token(header=header))

    assert not accepted or header.keys() <= {"note"}


@given(claims=st.dictionaries(CLAIM_NAMES, VALUES, min_size=1, max_size=3))
def test_any_claims_are_accepted_or_rejected(claims, mint: Mint, accepts) -> None:
    accepted = accepts(mint.token(claims=claims))

    assert not accepted or "iss" not in claims


@given(payload=st.binary() | VALUES.map(lambda value: json.dumps(value).encode()))
def test_no_other_payload_is_accepted(payload: bytes, mint: Mint, accepts) -> None:
    assert not accepts(mint.seal(f"{encode(mint.header())}.{encode(payload)}"))


def test_a_strangers_token_is_accepted_with_the_strangers_key_only(mint: Mint, keys, verifier) -> None:
    key = PublicKey("es256", frozenset({"ES256"}), mint.keys["stranger"])
    token = stranger(mint, "es256")

    assert verifier.verify(token, PublicKeys([key]), NOW).subject == "ada"
    assert type(failure(verifier, token, keys)) is InvalidToken
