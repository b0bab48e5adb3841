"""An application that sends each request to the engine and to stock Connexion, both in the same state."""

import asyncio
import json
from copy import deepcopy
from types import ModuleType
from typing import Any, NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.contract.engine.stock import serve_like_stock, serve_stock
from tests.support.documents import handlers


class Outcome(NamedTuple):
    """The response of one of the two."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def kind(self) -> int:
        """The class of the status."""
        return self.status // 100

    @property
    def value(self) -> Any:
        """The parsed JSON, or the bytes if the body is not JSON."""
        return (
            json.loads(self.body)
            if "json" in self.headers.get("content-type", "") and self.body
            else self.body
        )

    @property
    def detail(self) -> str:
        """The detail of a problem."""
        value = self.value
        return str(value.get("detail")) if isinstance(value, dict) else ""


class Pair(NamedTuple):
    """A request and both outcomes."""

    document: str
    method: str
    path: str
    target: str
    content_type: str
    body: bytes
    ours: Outcome
    stock: Outcome

    @property
    def agree(self) -> bool:
        """Whether both have the same class of status and, where they succeed, the same JSON."""
        both_fail = self.ours.kind == self.stock.kind and self.ours.kind in {4, 5}
        return both_fail or (self.ours.kind == self.stock.kind and self.ours.value == self.stock.value)

    def __str__(self) -> str:
        """Describe the difference."""
        ours, stock = (f"{one.status} {one.body[:200]!r}" for one in (self.ours, self.stock))
        request = f"{self.document}: {self.method} {self.target} {self.content_type} {self.body[:200]!r}"
        return f"{request}\n  ours {ours}\n  stock {stock}"


class State:
    """The state of a module of handlers, which can be restored."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.kept = {
            name: deepcopy(value)
            for name, value in vars(module).items()
            if type(value) is dict and name.islower()
        }

    def put_back(self) -> None:
        """Restore the module's initial state."""
        for name, value in self.kept.items():
            setattr(self.module, name, deepcopy(value))


class ComparingApp:
    """The application that calls both and responds as the engine does."""

    def __init__(self, name: str) -> None:
        self.name, self.pairs = name, list[Pair]()
        modules = handlers(name), handlers(name)
        self.states = [State(module) for module in modules]
        self.ours: ASGIApp = serve_like_stock(name, modules[0])
        self.stock: ASGIApp = serve_stock(name, modules[1])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call both, record the pair and respond; the lifespan does nothing."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        body = await _body(receive)
        for state in self.states:
            state.put_back()
        ours, stock = await _ask(self.ours, scope, body), await _ask(self.stock, scope, body)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        query = scope["query_string"].decode("latin-1")
        target = scope["path"] + (f"?{query}" if query else "")
        content_type = headers.get("content-type", "")
        self.pairs.append(
            Pair(self.name, scope["method"], scope["path"], target, content_type, body, ours, stock)
        )
        await send(
            {
                "type": "http.response.start",
                "status": ours.status,
                "headers": [(b"content-type", b"text/plain")],
            }
        )
        await send({"type": "http.response.body", "body": b""})


async def _ask(app: ASGIApp, scope: Scope, body: bytes) -> Outcome:
    answer: dict[str, Any] = {"body": b""}

    async def receive() -> Message:
        if "sent" in answer:
            await asyncio.sleep(3600)
        answer["sent"] = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer["status"] = message["status"]
            answer["headers"] = {
                name.decode("latin-1").lower(): value.decode("latin-1") for name, value in message["headers"]
            }
        else:
            answer["body"] += message.get("body", b"")

    own: Scope = {**scope, "headers": list(scope["headers"]), "extensions": {}, "state": {}}
    try:
        await app(own, receive, send)
    except Exception as error:  # noqa: BLE001 -- a server would respond with 500.
        return Outcome(500, {}, repr(error).encode())
    return Outcome(answer["status"], answer["headers"], answer["body"])


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _lifespan(receive: Receive, send: Send) -> None:
    for event in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{event}.complete"})
