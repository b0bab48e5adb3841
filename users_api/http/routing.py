"""From path and method to the operation, by one look into a table: Connexion's own router tries every route of the document."""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from connexion.middleware.routing import RoutingAPI
from connexion.operations import AbstractOperation
from starlette.types import Scope

from users_api.errors import MethodNotAllowed, PathNotFound

ID: Final = re.compile(r"[1-9][0-9]{0,15}")
NO_ID: Final = 0


class Operation(NamedTuple):
    """What Connexion's other middlewares find an operation by, and whether it takes a body."""

    routing: Mapping[str, Any]
    takes_body: bool


class Path(NamedTuple):
    """A path of the document, cut where its id stands, with its operations by their methods."""

    before: str
    parameter: str
    after: str
    operations: dict[str, Operation]

    @property
    def allow(self) -> str:
        """The value of the `Allow` header."""
        return ", ".join(sorted(self.operations))


class Paths(RoutingAPI):
    """The document's paths as Connexion reads them, with the operations that its resolver has found handlers for."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Take RoutingAPI's arguments."""
        self._exact: dict[str, Path] = {}
        self._templates: dict[str, Path] = {}
        super().__init__(*arguments, **options)

    def make_operation(self, operation: AbstractOperation) -> Any:
        """Return an entry of the table."""
        routing = {"api_base_path": self.base_path, "operation_id": operation.operation_id}
        return Operation(routing, takes_body=bool(operation.request_body))

    def find(self, scope: Scope) -> tuple[Operation, dict[str, Any]]:
        """Return the operation and the arguments that stand in the path.

        An id that no user can have becomes 0, which none has either: so such a request meets the same checks in the same order as
        one for any other user that does not exist. An encoded slash does not separate (RFC 3986, 2.2).

        Raises:
            PathNotFound: the document has no such path.
            MethodNotAllowed: the path has no such method.
        """
        name = scope["path"]
        if b"%" in scope["raw_path"] and b"%2f" in scope["raw_path"].lower():
            raise PathNotFound
        path, arguments = (self._exact[name], {}) if name in self._exact else self._match(name)
        if operation := path.operations.get(scope["method"]):
            return operation, arguments
        raise MethodNotAllowed(path.allow)

    def _match(self, name: str) -> tuple[Path, dict[str, Any]]:
        for path in self._templates.values():
            identifier = name.removeprefix(path.before).removesuffix(path.after)
            if identifier and "/" not in identifier and name == path.before + identifier + path.after:
                return path, {path.parameter: int(identifier) if ID.fullmatch(identifier) else NO_ID}
        raise PathNotFound

    @staticmethod
    def _framework_path_and_name(_operation: AbstractOperation, path: str) -> tuple[str, str]:
        return path, path

    def _add_operation_internal(self, method: str, path: str, operation: Any, name: str | None = None) -> None:  # noqa: ARG002 -- Connexion's signature.
        before, _, rest = path.partition("{")
        parameter, _, after = rest.partition("}")
        paths = self._templates if parameter else self._exact
        operations = paths.setdefault(path, Path(before, parameter, after, {})).operations
        operations[method.upper()] = operation
        if method == "get":
            operations["HEAD"] = operation
