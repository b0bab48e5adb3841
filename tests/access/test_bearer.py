"""Bearer tokens are found in one header only, verified once, and forgotten when they end."""

import asyncio
import hashlib
from collections.abc import Callable
from copy import deepcopy
from types import SimpleNamespace
from typing import Any

import pytest
from connexion.security import NO_VALUE

from users_api.access.bearer import CONNECTION, BearerTokens, InsufficientScope, Verified, challenge
from users_api.access.keys import PublicKeys, SigningKeys, generate_key
from users_api.access.signing import TokenSigner
from users_api.access.tokens import InvalidToken, TokenVerifier, UnknownKey

NOW = 1_800_000_000.0
CLIENT = "c" * 32


class Clock:
    """Unix time as the test sets it."""

    now = NOW

    def __call__(self) -> float:
        return self.now


class CountingVerifier(TokenVerifier):
    """Counts how many tokens were verified."""

    count = 0

    def verify(self, token: str, keys: PublicKeys, now: float) -> Any:
        self.count += 1
        return super().verify(token, keys, now)


class LateIssuer:
    """Has no key until it is asked to refresh."""

    def __init__(self, later: PublicKeys) -> None:
        self.keys, self._later, self.asked = PublicKeys([]), later, list[str | None]()

    async def refresh_for(self, kid: str | None) -> bool:
        self.asked.append(kid)
        await asyncio.sleep(0)
        self.keys = self._later
        return True


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys() -> SigningKeys:
    return SigningKeys.parse(generate_key())


@pytest.fixture
def signer(keys: SigningKeys, clock: Clock) -> TokenSigner:
    return TokenSigner(keys, issuer="here", audience="here", clock=clock)


@pytest.fixture
def verifier() -> CountingVerifier:
    return CountingVerifier("here", "here")


@pytest.fixture
def revoked() -> set[str]:
    return set()


@pytest.fixture
def tokens(signer: TokenSigner, verifier: CountingVerifier, clock: Clock, revoked: set[str]) -> BearerTokens:
    return BearerTokens(verifier, signer, revocations=SimpleNamespace(clients=revoked), clock=clock)


@pytest.fixture
def issue(signer: TokenSigner) -> Callable[..., bytes]:
    """Issues a token with these scopes, and returns the header that carries it."""
    return lambda *scopes: f"Bearer {signer.issue(CLIENT, scopes)}".encode()


@pytest.fixture(params=[{}, {CONNECTION: {}}], ids=["no connection state", "one connection"])
def state(request: pytest.FixtureRequest) -> dict[str, Any]:
    """With and without the dictionary that a server provides for the connection."""
    return deepcopy(request.param)


@pytest.fixture
def found(state: dict[str, Any]) -> Callable[..., Any]:
    """Returns what is found in a request with these Authorization headers."""

    def find(tokens: BearerTokens, *values: bytes) -> Any:
        headers = [(b"host", b"here"), *((b"authorization", value) for value in values)]
        return tokens.find({"headers": headers, "state": state}, dict(headers))

    return find


@pytest.mark.parametrize("spelling", [b"Bearer ", b"bearer ", b"BEARER ", b"Bearer   "])
def test_a_token_is_found_whatever_the_case_of_the_scheme(
    found: Callable[..., Any], tokens: BearerTokens, issue: Callable[..., bytes], spelling: bytes
) -> None:
    header = issue("users:read").replace(b"Bearer ", spelling)

    assert found(tokens, header).scopes == {"users:read"}


@pytest.mark.parametrize("values", [[], [b"Basic YTpi"], [b"Bearerx"], [b""], [b"Digest Bearer x"]])
def test_requests_without_a_token_have_none(
    found: Callable[..., Any], tokens: BearerTokens, values: list[bytes]
) -> None:
    assert found(tokens, *values) is None


@pytest.mark.parametrize(
    "value", [b"Bearer", b"Bearer ", b"bearer \xff", b"Bearer a b", b"Bearer ..", b"Bearer \t"]
)
def test_malformed_tokens_are_invalid(found: Callable[..., Any], tokens: BearerTokens, value: bytes) -> None:
    with pytest.raises(InvalidToken):
        found(tokens, value)


def test_two_headers_are_invalid(
    found: Callable[..., Any], tokens: BearerTokens, issue: Callable[..., bytes]
) -> None:
    with pytest.raises(InvalidToken, match="several Authorization headers"):
        found(tokens, issue("users:read"), issue("users:read"))


def test_a_list_of_two_tokens_is_invalid(
    found: Callable[..., Any], tokens: BearerTokens, issue: Callable[..., bytes]
) -> None:
    with pytest.raises(InvalidToken):
        found(tokens, issue("a") + b", " + issue("b"))


def test_white_space_after_a_token_does_not_belong_to_it(
    found: Callable[..., Any], tokens: BearerTokens, issue: Callable[..., bytes], verifier: CountingVerifier
) -> None:
    header = issue("users:read")

    assert found(tokens, header + b" \t") is found(tokens, header)
    assert verifier.count == 1


def test_a_token_is_verified_once(
    found: Callable[..., Any], tokens: BearerTokens, issue: Callable[..., bytes], verifier: CountingVerifier
) -> None:
    header = issue("users:read")

    results = [found(tokens, header) for _ in range(3)]

    assert results[0] is results[2]
    assert verifier.count == 1


def test_an_expired_token_is_verified_again(
    found: Callable[..., Any],
    tokens: BearerTokens,
    issue: Callable[..., bytes],
    clock: Clock,
    verifier: CountingVerifier,
) -> None:
    header = issue("users:read")
    for _ in range(2):
        found(tokens, header)

    clock.now = NOW + 901
    assert found(tokens, header).client_id == CLIENT  # Clocks may differ by 30 s.
    clock.now = NOW + 931
    with pytest.raises(InvalidToken, match="expired"):
        found(tokens, header)

    assert verifier.count == 3


def test_tokens_of_a_revoked_client_are_invalid(
    found: Callable[..., Any], tokens: BearerTokens, issue: Callable[..., bytes], revoked: set[str]
) -> None:
    known, fresh = issue("users:read"), issue("users:read")
    for _ in range(2):
        found(tokens, known)

    revoked.add(CLIENT)

    for header in (known, fresh):
        with pytest.raises(InvalidToken, match=f"{CLIENT} is revoked"):
            found(tokens, header)


def test_verified_tokens_are_bounded(
    found: Callable[..., Any],
    tokens: BearerTokens,
    issue: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
    verifier: CountingVerifier,
) -> None:
    monkeypatch.setattr("users_api.access.bearer.MAX_CACHED_TOKENS", 20)
    headers = [issue(str(number)) for number in range(30)]
    for header in headers:
        found(tokens, header)
    counted = verifier.count

    for header in headers[-10:]:
        found(tokens, header)
    assert verifier.count == counted
    found(tokens, headers[0])
    assert verifier.count == counted + 1


def test_each_token_of_a_connection_is_found(
    found: Callable[..., Any], tokens: BearerTokens, issue: Callable[..., bytes]
) -> None:
    headers = [issue("a"), issue("b"), b"Bearer x"]
    found(tokens, headers[0])
    found(tokens, headers[1])

    for _ in range(2):
        assert found(tokens, headers[0]).scopes == {"a"}
        assert found(tokens, headers[1]).scopes == {"b"}
        with pytest.raises(InvalidToken):
            found(tokens, headers[2])


def test_a_connection_remembers_a_token_for_one_verifier_only(
    found: Callable[..., Any], tokens: BearerTokens, issue: Callable[..., bytes], clock: Clock
) -> None:
    header = issue("users:read")
    others = BearerTokens(
        TokenVerifier("there", "there"),
        TokenSigner(SigningKeys.parse(generate_key()), issuer="there", audience="there", clock=clock),
        clock=clock,
    )
    for _ in range(2):
        found(tokens, header)

    with pytest.raises(UnknownKey):
        asyncio.run(found(others, header))


def test_the_last_token_of_a_connection_is_not_hashed(
    found: Callable[..., Any],
    state: dict[str, Any],
    tokens: BearerTokens,
    issue: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    header = issue("users:read")
    for _ in range(2):
        found(tokens, header)

    monkeypatch.setattr(hashlib, "sha256", None)

    if CONNECTION in state:
        assert found(tokens, header).scopes == {"users:read"}
    else:
        with pytest.raises(TypeError):
            found(tokens, header)


def test_new_keys_end_the_tokens_of_old_ones(
    found: Callable[..., Any], signer: TokenSigner, tokens: BearerTokens, issue: Callable[..., bytes]
) -> None:
    header = issue("users:read")
    for _ in range(2):
        found(tokens, header)

    signer.keys = SigningKeys.parse(generate_key()).public

    with pytest.raises(UnknownKey):
        asyncio.run(found(tokens, header))


def test_an_unknown_key_is_asked_for(
    found: Callable[..., Any],
    keys: SigningKeys,
    verifier: CountingVerifier,
    clock: Clock,
    issue: Callable[..., bytes],
) -> None:
    issuer = LateIssuer(keys.public)
    tokens = BearerTokens(verifier, issuer, clock=clock)

    verified = asyncio.run(found(tokens, issue("users:read")))

    assert isinstance(verified, Verified)
    assert issuer.asked == [keys.kid]
    assert isinstance(found(tokens, issue("users:read")), Verified)


def test_the_check_of_an_operation_returns_the_claims(
    tokens: BearerTokens, issue: Callable[..., bytes]
) -> None:
    check = tokens.get_fn({}, ["users:read"])

    claims = check(request(issue("users:read", "users:write")))

    assert claims == {"sub": CLIENT, "client_id": CLIENT, "scope": {"users:read", "users:write"}}
    assert check(request()) is NO_VALUE


def test_the_check_of_an_operation_requires_all_its_scopes(
    tokens: BearerTokens, issue: Callable[..., bytes]
) -> None:
    check = tokens.get_fn({}, ["users:write", "users:read"])

    with pytest.raises(InsufficientScope, match="users:read users:write"):
        check(request(issue("users:read")))


def test_the_check_requires_the_scopes_of_a_token_that_it_waited_for(
    keys: SigningKeys, verifier: CountingVerifier, clock: Clock, issue: Callable[..., bytes]
) -> None:
    check = BearerTokens(verifier, LateIssuer(keys.public), clock=clock).get_fn({}, ["users:write"])

    with pytest.raises(InsufficientScope):
        asyncio.run(check(request(issue("users:read"))))


def test_the_check_waits_for_an_unknown_key(
    keys: SigningKeys, verifier: CountingVerifier, clock: Clock, issue: Callable[..., bytes]
) -> None:
    check = BearerTokens(verifier, LateIssuer(keys.public), clock=clock).get_fn({}, ["users:read"])

    claims = asyncio.run(check(request(issue("users:read"))))

    assert claims["sub"] == CLIENT


def request(*values: bytes) -> Any:
    """Return a request with these Authorization headers."""
    return SimpleNamespace(scope={"headers": [(b"authorization", value) for value in values]})


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, 'Bearer realm="here"'),
        (InvalidToken("why"), 'Bearer realm="here", error="invalid_token"'),
        (
            InsufficientScope(["b", "a"]),
            'Bearer realm="here", error="insufficient_scope", scope="a b"',
        ),
    ],
    ids=["none", "invalid", "insufficient"],
)
def test_the_challenge_names_the_error(error: Exception | None, expected: str) -> None:
    assert challenge("here", error) == expected


def test_spaces_before_a_token_do_not_make_it_another_one(
    found: Callable[..., Any], tokens: BearerTokens, issue: Callable[..., bytes], verifier: CountingVerifier
) -> None:
    header = issue("users:read")

    for spaces in range(1, 20):
        found(tokens, header.replace(b" ", b" " * spaces))

    assert verifier.count == 1


def test_long_tokens_are_verified_each_time(
    found: Callable[..., Any], tokens: BearerTokens, issue: Callable[..., bytes], verifier: CountingVerifier
) -> None:
    header = issue(*(f"scope{number:020}" for number in range(100)))

    for _ in range(2):
        found(tokens, header)

    assert verifier.count == 2
