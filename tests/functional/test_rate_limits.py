"""Rate limits hold for each client or address, over all workers and, with Redis, over all instances."""

import http.client
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.issued import HEADER, Issued, claims, external_issuer, own_issuer, signer
from tests.support.issuers import new_key
from tests.support.redis import redis
from tests.support.service import Service, service
from tests.support.waiting import until

LIMIT = 20
WORKERS = 2
POLICY = '"20-per-day";q=20;w=86400'
REJECTED = {"status": "fail", "message": "Too many requests."}
FORWARDED = "X-Forwarded-For"


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service without authentication, with two workers; each test sends from its own address."""
    url = f"sqlite:///{tmp_path_factory.mktemp('limits')}/limits.db"
    with service(url, RATE_LIMIT=f"{LIMIT}/day") as running:
        yield running


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issued]:
    """A service with an external issuer and a rate limit."""
    url = f"sqlite:///{tmp_path_factory.mktemp('issued')}/issued.db"
    with external_issuer(url, RATE_LIMIT=f"{LIMIT}/day") as issued:
        yield issued


def ask_often(running: Service, times: int, path: str = "/ping", **headers: str) -> Counter[int]:
    """Send requests over several connections, which the workers share; return how many had each status."""

    def ask(_number: int) -> int:
        return httpx.get(running.url + path, headers=headers).status_code

    with ThreadPoolExecutor(8) as pool:
        return Counter(pool.map(ask, range(times)))


def ask_for_token(running: Service) -> httpx.Response:
    """Ask for a token without credentials."""
    return httpx.post(f"{running.url}/oauth/token", data={"grant_type": "client_credentials"})


def test_a_limit_holds_over_all_workers(limited: Service) -> None:
    statuses = ask_often(limited, 3 * LIMIT, "/users", **{FORWARDED: "192.0.2.1"})

    assert statuses == {200: LIMIT, 429: 2 * LIMIT}


def test_each_address_has_its_own_limit(limited: Service) -> None:
    ask_often(limited, LIMIT, "/users", **{FORWARDED: "192.0.2.2"})

    assert ask_often(limited, 1, "/users", **{FORWARDED: "192.0.2.2"}) == {429: 1}
    assert ask_often(limited, 1, "/users", **{FORWARDED: "192.0.2.3"}) == {200: 1}


def test_addresses_of_one_site_share_a_limit(limited: Service) -> None:
    ask_often(limited, LIMIT, "/users", **{FORWARDED: "2001:db8::1"})

    assert ask_often(limited, 1, "/users", **{FORWARDED: "2001:db8::ffff:2"}) == {429: 1}
    assert ask_often(limited, 1, "/users", **{FORWARDED: "2001:db8:0:1::1"}) == {200: 1}


def test_responses_tell_what_is_left(limited: Service) -> None:
    headers = {FORWARDED: "192.0.2.4"}

    first = httpx.get(f"{limited.url}/users", headers=headers)
    unknown = httpx.get(f"{limited.url}/nowhere", headers=headers)
    page = httpx.get(f"{limited.url}/ui/", headers=headers)
    ask_often(limited, LIMIT, "/users", **headers)
    rejected = httpx.head(f"{limited.url}/users", headers=headers)

    assert [each.headers["RateLimit-Policy"] for each in (first, unknown, page, rejected)] == [POLICY] * 4
    assert [each.headers["RateLimit"].split(";")[1] for each in (first, unknown, page, rejected)] == [
        "r=19",
        "r=18",
        "r=17",
        "r=0",
    ]
    assert (first.status_code, "Retry-After" in first.headers) == (200, False)
    assert rejected.status_code == 429
    assert 0 < int(rejected.headers["Retry-After"]) <= 86400


def test_a_rejected_request_has_the_envelope_and_need_not_send_its_body(limited: Service) -> None:
    headers = {FORWARDED: "192.0.2.5"}
    ask_often(limited, LIMIT, "/users", **headers)

    with closing(http.client.HTTPConnection("127.0.0.1", limited.port, timeout=5)) as connection:
        connection.putrequest("POST", "/users")
        for name, value in (headers | {"Content-Length": "100", "Content-Type": "application/json"}).items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()

    assert response.status == 429
    assert httpx.post(f"{limited.url}/users", headers=headers, content=b"{").json() == REJECTED


def test_probes_are_not_counted(limited: Service) -> None:
    headers = {FORWARDED: "192.0.2.6"}

    statuses = [
        ask_often(limited, 2 * LIMIT, path, **headers) for path in ("/ping", "/health/live", "/health/ready")
    ]

    assert statuses == [{200: 2 * LIMIT}] * 3
    assert "RateLimit" not in httpx.get(f"{limited.url}/ping", headers=headers).headers


def test_a_client_is_counted_wherever_it_is(issued: Issued) -> None:
    token = {"Authorization": f"Bearer {issued.tokens['users:read']}"}
    # A worker that still fetches the issuer's keys counts its first request by the address.
    for number in range(LIMIT + WORKERS):
        ask_often(issued.running, 1, "/users", **token, **{FORWARDED: f"192.0.2.{number}"})

    assert ask_often(issued.running, 1, "/users", **token, **{FORWARDED: "192.0.2.99"}) == {429: 1}
    assert ask_often(issued.running, 1, "/users", **{FORWARDED: "192.0.2.1"}) == {401: 1}


def test_invalid_tokens_do_not_use_up_the_limit_of_a_client(issued: Issued) -> None:
    headers = {FORWARDED: "198.51.100.1"}
    forged = [
        issued.tokens["wrong key"],
        issued.tokens["expired"],
        signer(new_key())(HEADER, claims(issued.running.environment["AUTH_ISSUER"], client_id="victim")),
    ]

    statuses = [
        ask_often(issued.running, LIMIT // 2, "/users", Authorization=f"Bearer {token}", **headers)
        for token in forged
    ]

    assert statuses == [{401: LIMIT // 2}, {401: LIMIT // 2}, {429: LIMIT // 2}]


def test_the_token_endpoint_always_has_a_limit(tmp_path: Path) -> None:
    with own_issuer(f"sqlite:///{tmp_path}/tokens.db", TOKEN_RATE_LIMIT="") as (running, *_):
        responses = [ask_for_token(running)]
        until(lambda: responses.append(ask_for_token(running)) or responses[-1].status_code == 429)
        users = ask_often(running, 2 * len(responses), "/users")

    *earlier, last = responses
    assert Counter(response.status_code for response in earlier) == {401: len(earlier)}
    assert len(earlier) >= 30  # More, if a window of a minute ends meanwhile.
    assert last.json() == REJECTED
    assert last.headers["RateLimit-Policy"] == '"30-per-minute";q=30;w=60'
    assert users == {401: 2 * len(responses)}


def test_paths_are_counted_as_they_are_routed(limited: Service) -> None:
    headers = {FORWARDED: "192.0.2.7"}

    for path in ("/health%2Flive", "/health/live/", "//health/live", "/HEALTH/live", "/health/live;x"):
        response = httpx.get(limited.url + path, headers=headers)
        assert (response.status_code, "RateLimit" in response.headers) == (404, True), path
    assert "RateLimit" not in httpx.get(f"{limited.url}/%68ealth/live", headers=headers).headers


def test_only_requests_for_tokens_use_up_their_limit(tmp_path: Path) -> None:
    with own_issuer(f"sqlite:///{tmp_path}/tokens.db", TOKEN_RATE_LIMIT="1/day") as (running, *_):
        others = [httpx.get(f"{running.url}/oauth/token"), httpx.post(f"{running.url}/oauth%2Ftoken")]
        statuses = [ask_for_token(running).status_code for _ in range(2)]

    assert [each.status_code for each in others] == [405, 404]
    assert statuses == [401, 429]


def test_the_limit_of_the_token_endpoint_is_a_setting(tmp_path: Path) -> None:
    with own_issuer(f"sqlite:///{tmp_path}/tokens.db", TOKEN_RATE_LIMIT="2/day") as (running, *_):
        statuses = [ask_for_token(running).status_code for _ in range(3)]

    assert statuses == [401, 401, 429]


def test_instances_share_a_limit_through_redis_and_its_outage_lets_requests_pass(tmp_path: Path) -> None:
    with redis() as store:
        settings = {"RATE_LIMIT": f"{LIMIT}/day", "RATE_LIMIT_STORE": store.url, "WEB_CONCURRENCY": "1"}
        with instances(tmp_path, 2, **settings) as running:
            until(lambda: ask_often(running[0], LIMIT, "/users")[429])
            other = counted(running[1])
            store.signal(signal.SIGTERM)
            until(lambda: ask_often(running[0], 1, "/users") == {200: 1})  # The last 429 holds for a second.
            during = ask_often(running[0], 2 * LIMIT, "/users")
            store.start()
            again = counted(running[0])

            assert (other, again) == (429, 200)
            assert during == {200: 2 * LIMIT}
            assert "requests pass without rate limits" in running[0].output()


def counted(running: Service) -> int:
    """Return the status of the first request that is counted: a busy machine may miss Redis's answer."""
    responses: list[httpx.Response] = []

    def is_counted() -> bool:
        responses.append(httpx.get(f"{running.url}/users"))
        return "RateLimit" in responses[-1].headers

    until(is_counted)
    return responses[-1].status_code


@contextmanager
def instances(folder: Path, count: int, **settings: str) -> Iterator[list[Service]]:
    """Start several instances on one database."""
    url = f"sqlite:///{folder}/instances.db"
    with service(url, **settings) as first:
        others = [Service(url, **settings) for _ in range(count - 1)]
        try:
            yield [first, *others]
        finally:
            for each in others:
                each.stop()
                each.log.close()
