"""Connexion's private names, which only this module uses; `test_library_internals.py` tests each."""

from collections.abc import Callable
from typing import Any, Final

from connexion.context import _context, _operation, _receive, _scope
from connexion.security import AbstractSecurityHandler
from starlette.types import Receive, Scope

# The key in a scope's extensions of the value that `connexion.request.context` returns.
CONTEXT_KEY: Final = "connexion_context"


def bind_request(operation: Any, scope: Scope, receive: Receive, context: dict[str, Any]) -> None:
    """Bind `connexion.request`, `context` and `operation` to this request in the current task."""
    _context.set(context)
    _operation.set(operation)
    _receive.set(receive)
    _scope.set(scope)


class InspectOnceMixin(AbstractSecurityHandler):
    """Inspects the info function when the document is compiled; Connexion does so for each request."""

    def _generic_check(self, func: Callable[..., Any], exception_msg: str) -> Callable[..., Any]:
        accepts = super()._accepts_kwarg
        self._accepted = {
            keyword: accepts(func, keyword) for keyword in (self.required_scopes_kw, self.request_kw)
        }
        check: Callable[..., Any] = super()._generic_check(func, exception_msg)  # type: ignore[no-untyped-call]
        return check

    def _accepts_kwarg(self, _func: Callable[..., Any], keyword: str) -> bool:  # type: ignore[override]  # static there.
        return self._accepted[keyword]
