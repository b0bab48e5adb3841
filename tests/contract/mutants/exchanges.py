"""The requests to the real service and its responses; each is sent once: the service does not change."""

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache
from typing import Any, Literal, NamedTuple

import psycopg2

from tests.support.issued import HEADER, OWN_ISSUER, VALID, claims
from tests.support.postgres import PostgreSQL, free_port
from tests.support.secured import ISSUING
from tests.support.service import Service, service
from users_api.access.keys import SigningKeys, generate_key

TIMEOUT_SECONDS = 60
LARGEST_ID = 2**53 - 1
LONGEST_NAME = "\N{GRINNING FACE}" * 128
LONGEST_EMAIL = f"{'a' * 64}@{'b' * 63}"

# Users with extreme values, so that responses reach every bound of the document; the next user has id 3.
KEEP = """
CREATE TABLE kept AS
SELECT id, username, email, active, created_date::timestamptz, version FROM (VALUES
    (1, 'm', 'a@c', true, '1970-01-01 00:00:00+00', 1),
    (2, 'ada', 'ada@example.org', false, '2026-11-23 09:30:00.123456+00', 7),
    (%(largest)s, %(name)s, %(email)s, true, '9999-12-30 23:59:59.999999+00', 2147483646)
) AS kept (id, username, email, active, created_date, version)
UNION ALL
SELECT id, %(name)s, id || '@example.org', false, '2026-11-23 09:30:00+00', 1
FROM generate_series(%(largest)s - 1002, %(largest)s - 1) AS id
"""
RESET = """
TRUNCATE users CASCADE;
INSERT INTO users (id, username, email, active, created_date, version) OVERRIDING SYSTEM VALUE
SELECT * FROM kept;
ALTER TABLE users ALTER id RESTART WITH 3;
"""
# The client of the document's example.
CLIENT = """
INSERT INTO clients (id, name, secret_hash, scopes, created_date)
VALUES ('6c3a0c1f8d0b4f0f9a1f5b7d2e4c6a80', 'example',
        encode(sha256('an example, not a secret'), 'hex'), 'users:read', now())
"""
NEXT_ID_IS_THE_LARGEST = (
    "DELETE FROM users WHERE id = %(largest)s; ALTER TABLE users ALTER id RESTART WITH %(largest)s;"
)
TABLE_WITHOUT_CONSTRAINTS = """
DROP TABLE users CASCADE;
CREATE TABLE users (id text, username text, email text, active boolean, created_date text, version integer);
ALTER TABLE clients DROP CONSTRAINT ck_clients_secret_hash, ALTER secret_hash TYPE integer USING 0;
"""


class Request(NamedTuple):
    """A request about an operation of the document, possibly with another method."""

    operation: str
    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    state: Literal["healthy", "largest id", "limited", "misfit", "away"] = "healthy"
    kind: str = "all scopes"
    """That of the token, with AUTH=required: `none` or one of VALID."""


class Response(NamedTuple):
    """A response."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the parsed body, which must not be modified: it is parsed only once."""
        return _parsed(self.body)


_parsed = cache(json.loads)


class ServiceStates:
    """The services in their states, and all responses so far; `tokens` is empty with AUTH=none."""

    def __init__(self, database: str, services: dict[str, Service], tokens: Mapping[str, str]) -> None:
        self.services, self.answers, self.touched = services, dict[Request, Response](), True
        self.tokens = tokens
        self.connection = psycopg2.connect(database)
        self.connection.autocommit = True
        self._execute(KEEP, {"largest": LARGEST_ID, "name": LONGEST_NAME, "email": LONGEST_EMAIL})
        self._execute(CLIENT)

    def ask(self, request: Request) -> Response:
        """Return the response to the request, as if it was the first one after the users were added."""
        if request not in self.answers:
            if self.touched or request.state == "largest id":
                self._execute(RESET)
            if request.state == "largest id":
                self._execute(NEXT_ID_IS_THE_LARGEST, {"largest": LARGEST_ID})
            self.answers[request] = answer = self.send(request)
            self.touched = request.state == "largest id" or (request.method != "GET" and answer.status < 300)
        return self.answers[request]

    def send(self, request: Request) -> Response:
        """Send the request with its token to the service in its state."""
        return send(self.services[request.state].port, request, self.tokens.get(request.kind))

    def _execute(self, statements: str, values: dict[str, Any] | None = None) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(statements, values)


def send(port: int, request: Request, token: str | None) -> Response:
    """Send a request; a body with a declared length but no content never arrives."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)) as connection:
        has_host = any(name == "Host" for name, _ in request.headers)
        connection.putrequest(request.method, request.target, skip_host=has_host, skip_accept_encoding=True)
        for name, value in request.headers:
            connection.putheader(name, value)
        if token:
            connection.putheader("Authorization", f"Bearer {token}")
        if request.body is not None:
            connection.putheader("Content-Length", str(len(request.body)))
        connection.endheaders(request.body)
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Response(response.status, headers, response.read())


@contextmanager
def stage(postgres: PostgreSQL, *, secured: bool = False) -> Iterator[ServiceStates]:
    """Start the service in every state for which the document has a response."""
    name = "secured" if secured else "contract"
    database, misfit = postgres.create(name), postgres.create(f"{name}_misfit")
    away = f"postgresql://users@127.0.0.1:{free_port()}/away"
    key = generate_key()
    access = {"AUTH": "required", "TOKEN_KEYS": key}
    settings = {"WEB_CONCURRENCY": "1", "CONTRACT_SAMPLE": "1"} | (access | ISSUING if secured else {})
    limits = {"TOKEN_RATE_LIMIT": "1/day"} if secured else {}
    with (
        service(database, ALLOWED_HOSTS="127.0.0.1", **settings) as healthy,
        service(database, **settings | limits) as limited,
        service(misfit, **settings) as broken,
    ):
        send(limited.port, Request("", "POST", "/oauth/token"), None)  # The only one that it allows.
        with closing(psycopg2.connect(misfit)) as connection:
            connection.autocommit = True
            connection.cursor().execute(CLIENT)
            connection.cursor().execute(TABLE_WITHOUT_CONSTRAINTS)
        lost = Service(away, **settings)
        services = {
            "healthy": healthy,
            "largest id": healthy,
            "limited": limited,
            "misfit": broken,
            "away": lost,
        }
        try:
            yield ServiceStates(database, services, _tokens(key) if secured else {})
        finally:
            lost.stop()
            lost.log.close()


def _tokens(key: str) -> dict[str, str]:
    """Return a token of each kind."""
    sign = SigningKeys.parse(key).sign
    return {kind: sign(HEADER, claims(OWN_ISSUER, scope=scope)) for kind, scope in VALID.items()}
