"""Connexion's private names: nothing else in this package uses them, and `tests/engine/test_seams.py` tests each."""

from collections.abc import Callable
from typing import Any, Final

from connexion.context import _context, _operation, _receive, _scope
from connexion.security import AbstractSecurityHandler
from starlette.types import Receive, Scope

CONTEXT_KEY: Final = "connexion_context"  # Where a scope's extensions hold what `connexion.request.context` returns.


def bind(operation: Any, scope: Scope, receive: Receive, context: dict[str, Any]) -> None:
    """Let `connexion.request`, `context` and `operation` be those of this request, in this task."""
    _context.set(context)
    _operation.set(operation)
    _receive.set(receive)
    _scope.set(scope)


class InspectedOnce(AbstractSecurityHandler):
    """Inspects the info function when the document is compiled; Connexion does so for each request."""

    def _generic_check(self, func: Callable[..., Any], exception_msg: str) -> Callable[..., Any]:
        accepts = super()._accepts_kwarg
        self._accepted = {keyword: accepts(func, keyword) for keyword in (self.required_scopes_kw, self.request_kw)}
        check: Callable[..., Any] = super()._generic_check(func, exception_msg)  # type: ignore[no-untyped-call]
        return check

    def _accepts_kwarg(self, _func: Callable[..., Any], keyword: str) -> bool:  # type: ignore[override]  # static there.
        return self._accepted[keyword]
