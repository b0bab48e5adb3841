"""The package's assumptions about undocumented behaviour: a failure shows what a library has changed."""

import asyncio
import inspect
import signal
from collections.abc import Callable
from typing import Any

import pytest
from gunicorn.arbiter import Arbiter
from gunicorn.config import KNOWN_SETTINGS
from gunicorn.sock import TCPSocket
from httptools import HttpParserCallbackError, HttpParserUpgrade, HttpRequestParser
from uvicorn import Config, Server
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState
from uvicorn_worker import UvicornWorker

from users_api.server.configuration import ServerOptions, gunicorn_settings

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Wire(asyncio.Transport):
    """A transport that keeps what is written, and counts how often reading is paused and resumed."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False
        self.calls: list[str] = []

    def write(self, data: Any) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")


async def hello(_scope: Any, _receive: Any, send: Any) -> None:
    """Respond with a head and a body."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


def connect(app: Any = hello) -> tuple[HttpToolsProtocol, Wire]:
    """Return uvicorn's own protocol on a connection."""
    config = Config(app, log_config=None, lifespan="off")
    config.load()
    protocol, wire = HttpToolsProtocol(config=config, server_state=ServerState(), app_state={}), Wire()
    protocol.connection_made(wire)
    return protocol, wire


def on_a_loop(test: Callable[[], Any]) -> Callable[[], None]:
    """Run a test on an event loop."""
    return lambda: asyncio.run(test())


class Parsed:
    """Records what httptools reports."""

    def __init__(self) -> None:
        self.headers: list[bytes] = []
        self.body = b""

    def on_header(self, name: bytes, _value: bytes) -> None:
        self.headers.append(name)

    def on_body(self, body: bytes) -> None:
        self.body += body


# httptools


def test_httptools_wraps_an_exception_of_a_callback() -> None:
    class Raising:
        def on_headers_complete(self) -> None:
            raise LookupError

    with pytest.raises(HttpParserCallbackError) as caught:
        HttpRequestParser(Raising()).feed_data(GET)

    assert isinstance(caught.value.__context__, LookupError), "the failure was the error's context"


def test_httptools_stops_behind_a_head_that_asks_for_an_upgrade() -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 4\r\n\r\n"

    with pytest.raises(HttpParserUpgrade) as caught:
        HttpRequestParser(Parsed()).feed_data(head + b"body")

    assert caught.value.args[0] == len(head), "the exception's first argument was the number of parsed bytes"


def test_httptools_reports_trailers_as_headers() -> None:
    parsed = Parsed()

    HttpRequestParser(parsed).feed_data(
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTrailer-Field: 1\r\n\r\n"
    )

    assert parsed.headers[-1] == b"Trailer-Field", (
        "trailers came through on_header, where the protocol ignores them"
    )


def test_httptools_passes_bodies_with_unknown_transfer_codings_through() -> None:
    parsed = Parsed()

    HttpRequestParser(parsed).feed_data(
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    )

    assert parsed.body == b"abc", (
        "httptools did not check transfer codings; if it does, the protocol need not"
    )


def test_httptools_does_not_require_a_host() -> None:
    # If it ever does, the protocol's own check can be removed.
    HttpRequestParser(Parsed()).feed_data(b"GET / HTTP/1.1\r\n\r\n")


# uvicorn's HTTP protocol


@on_a_loop
async def test_uvicorn_keeps_the_names_that_the_protocol_uses() -> None:
    protocol, _ = connect()
    assert (protocol.cycle, len(protocol.pipeline)) == (None, 0), (
        "a new connection had no cycle and an empty pipeline"
    )
    protocol.data_received(GET)
    names = {"cycle", "flow", "headers", "loop", "parser", "pipeline", "server_state", "transport", "url"}

    assert names <= set(vars(protocol)), "uvicorn's protocol had these attributes"


@on_a_loop
async def test_uvicorn_changes_the_scheme_in_the_scope_that_the_cycle_keeps() -> None:
    scopes: list[Any] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        scopes.append(scope)

    scope: Any = {
        "type": "http",
        "scheme": "http",
        "client": ("127.0.0.1", 1),
        "headers": [(b"x-forwarded-proto", b"https")],
    }
    await ProxyHeadersMiddleware(app)(scope, None, None)  # type: ignore[arg-type]  # it only passes them on.

    assert (scopes[0] is scope, scope["scheme"]) == (True, "https"), "it changed the scope, not a copy of it"


@on_a_loop
async def test_uvicorn_queues_pipelined_requests_with_their_cycles() -> None:
    protocol, _ = connect()

    protocol.data_received(GET * 3)

    cycles = [entry[0] for entry in protocol.pipeline]
    assert all(isinstance(cycle, RequestResponseCycle) for cycle in cycles), (
        "an entry was (cycle, application)"
    )
    assert cycles[0] is protocol.cycle, "the newest request was the pipeline's first entry"


@on_a_loop
async def test_uvicorn_resumes_reading_after_each_response() -> None:
    protocol, wire = connect()

    protocol.data_received(GET * 3)
    await asyncio.gather(*protocol.tasks)

    assert wire.calls == ["pause", "resume"], (
        "it resumed although a request was waiting; if not, no override is needed"
    )


@on_a_loop
async def test_uvicorn_closes_an_idle_connection_at_once_on_shutdown() -> None:
    protocol, wire = connect()

    protocol.shutdown()

    assert wire.closed, "an idle connection was closed at once; if not, no override is needed"


@on_a_loop
async def test_uvicorn_closes_the_connection_after_a_response_without_keep_alive() -> None:
    protocol, wire = connect()

    protocol.data_received(GET)
    protocol.cycle.keep_alive = False
    await asyncio.gather(*protocol.tasks)

    assert wire.closed, "keep_alive of the cycle decided it"


@on_a_loop
async def test_uvicorn_reports_disconnects_to_the_application() -> None:
    received = []

    async def listen(_scope: Any, receive: Any, _send: Any) -> None:
        received.append((await receive())["type"])

    protocol, _ = connect(listen)
    protocol.data_received(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
    protocol.cycle.disconnected = True
    protocol.cycle.message_event.set()
    await asyncio.gather(*protocol.tasks)

    assert received == ["http.disconnect"], "a cycle's disconnected and message_event did so"


@on_a_loop
async def test_uvicorn_does_no_more_after_a_response_than_the_protocol() -> None:
    changed = (
        "uvicorn changed HttpToolsProtocol.on_response_complete: do the same in Protocol.on_response_complete"
    )
    names = set(HttpToolsProtocol.on_response_complete.__code__.co_names)

    assert names == {
        "_start_asgi_task", "_unset_keepalive_if_required", "call_later", "flow", "is_closing", "loop",
        "pipeline", "pop", "resume_reading", "server_state", "timeout_keep_alive",
        "timeout_keep_alive_handler", "timeout_keep_alive_task", "total_requests", "transport",
    }, changed  # fmt: skip


@on_a_loop
async def test_uvicorn_adds_a_header_to_the_list_that_the_protocol_replaces() -> None:
    protocol, _ = connect()
    protocol.data_received(GET.removesuffix(b"\r\n") + b"Transfer-Encoding: chunked\r\n\r\n")
    scope, protocol.headers = protocol.cycle.scope, []

    protocol.data_received(b"0\r\nTrailer: x\r\n\r\n")

    assert protocol.headers == [(b"trailer", b"x")], "on_header appended to protocol.headers"
    assert [name for name, _ in scope["headers"]] == [b"host", b"transfer-encoding"], (
        "the scope had a list of its own"
    )


@on_a_loop
async def test_uvicorn_cancels_the_keep_alive_timer_by_a_method() -> None:
    protocol, _ = connect()
    protocol.data_received(GET)
    await asyncio.gather(*protocol.tasks)
    timer = protocol.timeout_keep_alive_task

    protocol._unset_keepalive_if_required()  # noqa: SLF001 -- the name is the assumption.

    assert timer.cancelled(), "the timer ran from a response to the next request"


def test_uvicorn_has_the_status_lines_of_the_failures() -> None:
    assert STATUS_LINE[431] == b"HTTP/1.1 431 Request Header Fields Too Large\r\n", (
        "a line ended the status line"
    )


# uvicorn's server


@on_a_loop
async def test_uvicorn_listens_on_no_socket_when_it_is_given_none() -> None:
    server = Server(Config(hello, log_config=None, lifespan="off"))
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)

    await server.startup(sockets=[])

    assert (server.servers, server.started) == ([], True), (
        "startup(sockets=[]) left the servers to the caller"
    )
    assert server.lifespan.state == {}, "the state of the application was the lifespan's"


@on_a_loop
async def test_uvicorn_only_closes_its_servers() -> None:
    called = []

    class Listening:
        def close(self) -> None:
            called.append("close")

        async def wait_closed(self) -> None:
            called.append("wait_closed")

    server = Server(Config(hello, log_config=None, lifespan="off"))
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    server.servers = [Listening()]
    await server.shutdown()

    assert called == ["close", "wait_closed"], "these were the methods that an Acceptor needs"


@on_a_loop
async def test_uvicorn_keeps_connections_in_the_servers_state() -> None:
    protocol, _ = connect()
    state = protocol.server_state

    assert state.connections == {protocol}, "a connection added itself"
    protocol.connection_lost(None)
    assert state.connections == set(), "and discarded itself"


def test_uvicorn_raises_a_signal_again_after_its_shutdown() -> None:
    source = inspect.getsource(Server.capture_signals)

    assert "signal.raise_signal(captured_signal)" in source, (
        "if not, the worker need not exit on SIGTERM itself"
    )


def test_the_uvicorn_worker_runs_serve_with_its_options() -> None:
    assert "_serve()" in inspect.getsource(UvicornWorker.run), (
        "run() awaited _serve(), which the worker overrides"
    )
    assert "CONFIG_KWARGS" in inspect.getsource(UvicornWorker.__init__), "CONFIG_KWARGS were Config's options"
    assert callable(UvicornWorker._install_sigquit_handler), "_serve() installed the handler of SIGQUIT"  # noqa: SLF001 -- the name is the assumption.


# gunicorn


def test_gunicorn_knows_every_setting() -> None:
    known = {setting.name for setting in KNOWN_SETTINGS}

    assert set(gunicorn_settings(ServerOptions())) <= known, (
        "gunicorn ignores an unknown setting without a word"
    )


def test_gunicorn_stops_through_a_method_that_closes_the_listeners_first() -> None:
    source = inspect.getsource(Arbiter.stop)

    assert list(inspect.signature(Arbiter.stop).parameters) == ["self", "graceful"], (
        "stop(graceful) was the signature"
    )
    assert source.index("close_sockets") < source.index("kill_workers"), (
        "it closed the listeners before the workers"
    )
    assert "self.stop()" in inspect.getsource(Arbiter.halt), "SIGTERM ended in self.stop()"


def test_gunicorn_checks_its_port_before_it_binds() -> None:
    source = inspect.getsource(Arbiter.start)

    assert source.index("on_starting") < source.index("create_sockets"), (
        "on_starting ran before the sockets were made"
    )
    assert source.index("create_sockets") < source.index("when_ready"), "when_ready ran after that"


def test_gunicorn_keeps_the_names_that_tell_whose_the_listeners_are() -> None:
    source = inspect.getsource(Arbiter)

    for name in ("self.master_pid", "self.reexec_pid", "self.systemd", "self.LISTENERS"):
        assert f"{name} = " in source, "the arbiter had these attributes"
    assert "self.sock = " in inspect.getsource(TCPSocket.__mro__[1]), "a listener kept its socket as `sock`"


def test_gunicorn_calls_the_hooks_on_both_sides_of_the_fork() -> None:
    source = inspect.getsource(Arbiter.spawn_worker)

    order = [source.index(name) for name in ("pre_fork", "os.fork()", "post_fork", "init_process")]
    assert order == sorted(order), (
        "pre_fork ran in the master; post_fork in the worker, before the application loads"
    )


def test_gunicorn_exits_a_worker_on_sigterm_by_signal() -> None:
    assert signal.SIGTERM in UvicornWorker.SIGNALS, "init_signals() resets it, and the worker sets it anew"
