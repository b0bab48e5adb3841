"""The documents in `tests/engine/documents`; the module of the same name has the handlers."""

import json
from collections.abc import Iterator
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from users_api.engine import App
from users_api.engine.document import Document

FOLDER = Path(__file__).parents[1] / "engine" / "documents"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml") if path.stem != "problems")


class Sent(NamedTuple):
    """An example request for an operation and the expected response."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    status: int
    lenient: int
    answer: Any

    @property
    def name(self) -> str:
        """A unique name for test ids."""
        return f"{self.method} {self.target} {self.headers} {self.body[:40]!r}"


def load(name: str) -> Document:
    """Return the document of this name."""
    return Document.load(FOLDER / f"{name}.yaml")


def handlers(name: str) -> ModuleType:
    """Return a fresh copy of the document's module, which shares no state with others."""
    specification = spec_from_file_location(f"handlers_of_{name}", FOLDER / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def serve(*names: str, **options: Any) -> App:
    """Return an application of the engine with these documents."""
    app = App(__name__, specification_dir=FOLDER, **options)
    for name in names:
        app.add_api(f"{name}.yaml", name=name, resolver=partial(getattr, handlers(name)))
    return app


def requests_of(document: Document) -> Iterator[Sent]:
    """Yield the requests of each operation's `x-requests` in document order."""
    for node in document.operations():
        for given in node.operation.get("x-requests", ()):
            yield _sent(document.base_path, node.path, node.method, given)


def _sent(base_path: str, path: str, method: str, given: dict[str, Any]) -> Sent:
    headers = {name: str(value) for name, value in given.get("headers", {}).items()}
    body = str(given.get("body", "")).encode()
    if "json" in given:
        headers["Content-Type"], body = "application/json", json.dumps(given["json"]).encode()
    elif "type" in given:
        headers["Content-Type"] = given["type"]
    target = base_path + given.get("target", path)
    status = given["status"]
    return Sent(
        method.upper(), target, headers, body, status, given.get("lenient", status), given.get("answer")
    )
