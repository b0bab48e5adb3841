"""Hostile metadata and key sets, which never replace known keys, and what requests reveal to an issuer."""

import asyncio
import gzip
import ssl
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from joserfc.jwk import ECKey, OctKey

from tests.access.stage import FETCH, against_an_issuer, failure, now, start
from tests.support.certificates import write_certificate
from tests.support.issuers import (
    BROKEN,
    DISCONNECT,
    DRIP,
    FLOOD,
    JWKS,
    METADATA,
    NOT_FOUND,
    OPENID_METADATA,
    ControlledIssuer,
    content,
    document,
    hang,
    in_thread,
    raw,
)
from tests.support.postgres import free_port
from users_api.access.discovery import DEFAULT_MAX_AGE, FETCH_SECONDS
from users_api.access.issuer import Issuer

LARGE = 256 * 1024
OK = b"HTTP/1.1 200 OK\r\n"
REDIRECT = content(b"", "Location: /elsewhere", status="302 Found")
COMPRESSED = content(gzip.compress(b" " * 10_000_000), "Content-Encoding: gzip")

NOT_JSON = {
    "an error": (BROKEN, "the status is 500"),
    "no content": (content(b"", status="204 No Content"), "the status is 204"),
    "a redirect": (REDIRECT, "the status is 302"),
    "an empty body": (content(b""), "empty document"),
    "a page": (content(b"<!DOCTYPE html>"), "unexpected character"),
    "NaN": (content(b"[NaN]"), "unexpected character"),
    "half a document": (content(b'{"keys": ['), "unexpected end of data"),
    "two documents": (content(b"{}{}"), "unexpected content after document"),
    "invalid UTF-8": (content(b'{"keys": "\xff"}'), "not valid UTF-8"),
    "UTF-16": (content("{}".encode("utf-16")), "not valid UTF-8"),
    "a byte order mark": (content(b"\xef\xbb\xbf{}"), "byte order mark"),
    "deep nesting": (content(b"[" * 200_000), "depth limit exceeded"),
    "a large body": (content(b" " * LARGE + b"{}"), "the body exceeds 262144 bytes"),
    "an endless body": (FLOOD, "the body exceeds 262144 bytes"),
    "a compressed body": (COMPRESSED, "the content coding is gzip"),
    "a broken chunk": (raw(OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n"), "illegal chunk header"),
    "half a body": (raw(OK + b"Content-Length: 9\r\n\r\n{}"), "without sending complete message body"),
    "no response": (DISCONNECT, "Server disconnected without sending a response"),
    "another protocol": (raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "illegal status line"),
    "an endless header": (raw(OK + b"X: " + b"x" * 1_000_000), "Receive buffer too long"),
    "a header with an escape sequence": (raw(OK + b"X\x1b[31m: \r\n\r\n"), "illegal header line"),
}
SLOW = {"silence": hang, "a byte a second": DRIP}
NOT_METADATA = {
    "a list": ([], "the metadata is of None instead of"),
    "no members": ({}, "the metadata is of None instead of"),
    "another issuer": ({"issuer": "https://evil.example"}, "the metadata is of 'https://evil.example' inst"),
    "line breaks": ({"issuer": "a\n\x1b[31mb"}, r"the metadata is of 'a\n\x1b[31mb' instead of"),
    "a list of issuers": ({"issuer": [["https://issuer.example"]]}, "the metadata is of [['https://issuer."),
    "deep nesting": ({"issuer": [[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}, "the metadata is of [[[["),
}
NOT_PROTECTED = [
    None,
    5,
    "",
    "/jwks",
    "http://192.0.2.1/jwks",
    "http://issuer.example/jwks",
    "file:///etc/passwd",
    "https://user:secret@issuer.example/jwks",
    "https://issuer.example:99999/jwks",
    "https://issuer.example/\n",
]
UNUSABLE = {
    "no object": [],
    "no keys": {},
    "keys that are not a list": {"keys": 5},
    "an empty list": {"keys": []},
    "too many keys": {"keys": [{}] * 101},
    "keys that are not objects": {"keys": [None, 5, "key", []]},
    "a secret": {"keys": [OctKey.generate_key(256).as_dict(kid="a")]},
    "a key for encryption": {"keys": [ECKey.generate_key("P-256").as_dict(private=False, use="enc")]},
    "hostile members": {
        "keys": [
            {"kty": kty, "kid": kid, "key_ops": operations, "alg": [], "crv": crv, "x": 5, "n": "A", "e": "A"}
            for kty in ("EC", "RSA", [], None)
            for kid in ("a", {})
            for operations in (5, None, {}, ["verify"])
            for crv in ("P-256", [])
        ]
    },
}


@pytest.mark.parametrize("name", NOT_JSON)
@pytest.mark.parametrize("path", [METADATA, JWKS])
def test_what_is_not_json_is_a_failure(name: str, path: str) -> None:
    respond, reason = NOT_JSON[name]

    @against_an_issuer
    async def test(remote: ControlledIssuer, issuer: Issuer) -> None:
        remote.responses = {path: respond, OPENID_METADATA: NOT_FOUND}

        await issuer.start()
        found = await failure(issuer)

        assert found.startswith(f"{remote.url}{path}: ")
        assert reason in found
        assert found.isprintable()
        assert "/elsewhere" not in remote.requests

    test()


@pytest.mark.parametrize("name", SLOW)
@pytest.mark.parametrize("path", [METADATA, JWKS])
def test_a_fetch_takes_at_most_five_seconds(name: str, path: str) -> None:
    @against_an_issuer
    async def test(remote: ControlledIssuer, issuer: Issuer) -> None:
        remote.responses, beginning = {path: SLOW[name]}, now()

        await issuer.start()
        reason = await failure(issuer)

        assert reason == f"{remote.url}: no complete response within 5 s"
        assert now() - beginning == pytest.approx(FETCH_SECONDS)

    test()


@pytest.mark.parametrize("name", NOT_METADATA)
def test_metadata_names_exactly_its_issuer(name: str) -> None:
    metadata, reason = NOT_METADATA[name]

    @against_an_issuer
    async def test(remote: ControlledIssuer, issuer: Issuer) -> None:
        remote.everywhere = document(metadata)

        await issuer.start()
        found = await failure(issuer)

        assert reason in found
        assert found.isprintable()

    test()


@against_an_issuer
async def test_a_slash_at_the_end_makes_another_issuer(remote: ControlledIssuer, issuer: Issuer) -> None:
    remote.everywhere = document(remote.metadata(issuer=remote.url + "/"))

    await issuer.start()

    assert f"the metadata is of '{remote.url}/' instead of '{remote.url}'" in await failure(issuer)


@pytest.mark.parametrize("url", NOT_PROTECTED)
def test_keys_come_over_https_or_loopback_only(url: object) -> None:
    @against_an_issuer
    async def test(remote: ControlledIssuer, issuer: Issuer) -> None:
        remote.everywhere = document(remote.metadata(jwks_uri=url))

        await issuer.start()

        assert "the metadata has no jwks_uri with https://" in await failure(issuer)

    test()


@against_an_issuer
async def test_an_issuer_that_does_not_listen_is_a_failure(remote: ControlledIssuer, issuer: Issuer) -> None:
    remote.everywhere = document(remote.metadata(jwks_uri=f"http://127.0.0.1:{free_port()}/jwks"))

    await issuer.start()

    assert "All connection attempts failed" in await failure(issuer)


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_set_without_usable_keys_replaces_nothing(name: str) -> None:
    @against_an_issuer
    async def test(remote: ControlledIssuer, issuer: Issuer) -> None:
        await start(remote, issuer)
        keys, remote.responses[JWKS] = issuer.keys, document(UNUSABLE[name])

        found = await issuer.refresh_for("a")

        assert not found
        assert issuer.keys is keys
        assert remote.requests == FETCH

    test()


@pytest.mark.parametrize("name", NOT_JSON)
def test_a_key_set_that_is_not_json_replaces_nothing(name: str) -> None:
    @against_an_issuer
    async def test(remote: ControlledIssuer, issuer: Issuer) -> None:
        await start(remote, issuer)
        keys, remote.responses[JWKS] = issuer.keys, NOT_JSON[name][0]

        await asyncio.sleep(DEFAULT_MAX_AGE)

        assert issuer.keys is keys
        assert remote.requests[:2] == FETCH

    test()


@against_an_issuer
async def test_a_document_of_256_kib_is_accepted(remote: ControlledIssuer, issuer: Issuer) -> None:
    keys = content(orjson.dumps(remote.key_set()).ljust(LARGE))
    remote.responses[JWKS] = keys

    await start(remote, issuer)

    assert len(issuer.keys) == 1


@against_an_issuer
async def test_an_issuer_learns_neither_versions_nor_cookies(
    remote: ControlledIssuer, issuer: Issuer
) -> None:
    remote.headers = ("Set-Cookie: a=b; Path=/", "Set-Cookie: c=d")
    await start(remote, issuer)

    await issuer.refresh_for("unknown")

    lines = (
        f"Host: 127.0.0.1:{remote.port}",
        "User-Agent: users-api",
        "Accept: application/json, application/jwk-set+json",
        "Accept-Encoding: identity",
        "Connection: close\r\n\r\n",
    )
    assert remote.heads == ["\r\n".join((f"GET {path} HTTP/1.1", *lines)).encode() for path in FETCH]


@against_an_issuer
async def test_no_connection_is_kept(remote: ControlledIssuer, issuer: Issuer) -> None:
    await start(remote, issuer)

    await asyncio.sleep(1)

    assert remote.connections == {}  # The issuer itself would keep them open.


def test_loopback_needs_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    against_an_issuer(start)()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of 127.0.0.1, signed by itself, with its key."""
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    write_certificate(path)
    return path


@pytest.fixture
def tls_issuer(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlledIssuer]:
    """An issuer with this certificate, reached without a proxy."""
    monkeypatch.setenv("NO_PROXY", "*")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    with in_thread(ControlledIssuer(tls=context)) as remote:
        yield remote


def test_certificates_are_verified(tls_issuer: ControlledIssuer) -> None:
    async def play() -> None:
        issuer = Issuer(tls_issuer.url)
        await issuer.start()
        reason = await failure(issuer)
        await issuer.stop()

        assert "CERTIFICATE_VERIFY_FAILED" in reason
        assert tls_issuer.requests == []

    asyncio.run(play())


def test_certificate_authorities_can_be_added(
    tls_issuer: ControlledIssuer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    async def play() -> None:
        issuer = Issuer(tls_issuer.url)
        await issuer.start()
        found = await issuer.refresh_for(tls_issuer.key.thumbprint())
        await issuer.stop()

        assert found
        assert tls_issuer.requests == FETCH

    asyncio.run(play())
