"""The errors in documents and requests."""

from collections.abc import Sequence
from http import HTTPStatus
from traceback import walk_tb
from typing import NamedTuple

from connexion.exceptions import (
    BadRequestProblem,
    ClientProblem,
    InvalidSpecification,
    ResolverError,
    UnsupportedMediaTypeProblem,
)
from starlette.exceptions import HTTPException


class DocumentError(InvalidSpecification, ValueError):
    """The document uses a feature that the engine cannot enforce; the message is one line.

    A subclass of Connexion's InvalidSpecification. The message has the JSON pointer (RFC 6901), the problem,
    and what to write instead.
    """

    def __init__(self, pointer: str, problem: str, instead: str = "") -> None:
        """Compose the line."""
        self.pointer, self.problem, self.instead = pointer, problem, instead
        super().__init__(f"{pointer or '#'}: {problem}" + (f"; {instead}" if instead else ""))


class FieldError(NamedTuple):
    """One rejected value: `field` is the path to it (`owner.id`, `tags[2]`), empty for the whole."""

    field: str
    message: str


class InvalidRequest(BadRequestProblem):
    """A request does not conform to the document; `errors` names every violation."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        """Store the errors, and list all of them in the problem's detail."""
        self.errors = errors
        detail = "; ".join(f"{error.field} {error.message}".strip() for error in errors)
        super().__init__(detail=detail)  # type: ignore[no-untyped-call]  # Connexion does not annotate it.


class InvalidParameter(InvalidRequest):
    """Query, header or cookie parameters do not conform to the document."""


class InvalidPayload(InvalidRequest):
    """The request body does not conform to the document."""


class InvalidPathParameter(ClientProblem):
    """A path parameter does not conform to the document: nothing exists at this path."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        """Keep the errors."""
        self.errors = errors
        super().__init__(
            404, "Not Found", detail="; ".join(f"{error.field} {error.message}" for error in errors)
        )


class PathNotFound(HTTPException):
    """No path of the documents and no route of the program matches."""

    def __init__(self) -> None:
        """Return 404."""
        super().__init__(HTTPStatus.NOT_FOUND)


class UnsupportedMediaType(UnsupportedMediaTypeProblem):
    """The operation does not accept a body of this media type, charset or content coding."""


class HandlerNotFound(DocumentError, ResolverError):  # noqa: N818 -- named for what happened.
    """An operationId resolves to no function; a subclass of Connexion's ResolverError."""

    def __init__(self, operation: str, error: ResolverError, operation_id: str) -> None:
        """Name the function that was looked up; `operation` is the operation's JSON pointer."""
        if not operation_id:
            DocumentError.__init__(
                self, operation, "there is no operationId", "add one that names the handler"
            )
            return
        problem = str(error.args[0]) if error.args else f"no function for {operation_id!r}"
        instead = "write the function, or correct the operationId"
        if failed := _failed_import(error.__context__, operation_id):
            problem, instead = (
                f"{operation_id} cannot be imported: {failed}",
                "correct the import",
            )
        DocumentError.__init__(self, f"{operation}/operationId", problem, instead)


def _failed_import(error: BaseException | None, operation_id: str) -> str | None:
    """Return the module, line and message of an import that failed inside the handler's module, or None."""
    missing = isinstance(error, ModuleNotFoundError) and f"{operation_id}.".startswith(f"{error.name}.")
    if not isinstance(error, ImportError) or missing:
        return None
    lines = [(str(frame.f_globals.get("__name__")), line) for frame, line in walk_tb(error.__traceback__)]
    module, line = next(each for each in reversed(lines) if not each[0].startswith("importlib"))
    return f"{module}, line {line}: {error}"
