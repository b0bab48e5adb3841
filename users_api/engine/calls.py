"""Calls a handler with the arguments that it declares, where it cannot delay other requests.

Plain functions run in a thread pool, as Connexion runs them, or where `App(run_plain=…)` says. A coroutine
function runs on the event loop.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

from anyio import CapacityLimiter, to_thread
from connexion.decorators.parameter import unwrap_decorators
from connexion.exceptions import ResolverProblem

from users_api.engine.failures import DocumentError

BLOCKING_SECONDS: Final = 0.1
CONTEXT_ARGUMENT: Final = "context_"  # Connexion gives the whole context under this name.
IN_THREAD_ATTRIBUTE: Final = "runs_in_thread"
CONTEXT_ARGUMENTS: Final = frozenset({CONTEXT_ARGUMENT, "user", "token_info"})

logger = logging.getLogger(__name__)
Function = TypeVar("Function", bound=Callable[..., Any])
RunFunction = Callable[[Callable[[], Any]], Coroutine[Any, Any, Any]]


def in_thread(function: Function) -> Function:
    """Mark a handler that blocks instead of awaiting: it runs in the thread pool."""
    setattr(function, IN_THREAD_ATTRIBUTE, True)
    return function


class ThreadPoolRunner:
    """The thread pool of plain handlers: at most `size` run at once, the others queue."""

    def __init__(self, size: int) -> None:
        """Set the number of threads."""
        self._size = size
        self._limiter: CapacityLimiter | None = None

    async def __call__(self, function: Callable[[], Any]) -> Any:
        """Run the function in a thread of the pool, and return its result."""
        if self._limiter is None:
            self._limiter = CapacityLimiter(self._size)
        return await to_thread.run_sync(function, limiter=self._limiter)


def blocking_reporter(
    operation_id: str, on_blocking: Callable[[str], None] | None = None
) -> Callable[[float], None]:
    """Return a function that logs steps that hold the event loop for more than BLOCKING_SECONDS.

    It also calls `on_blocking` with the operationId.
    """

    def report(seconds: float) -> None:
        if seconds > BLOCKING_SECONDS:
            if on_blocking:
                on_blocking(operation_id)
            logger.warning("%s blocked the event loop for %.0f ms", operation_id, seconds * 1000)

    return report


class Handler:
    """A handler function and the arguments that its signature declares."""

    def __init__(
        self, operation: Any, declared: frozenset[str], *, has_files: bool, context_by_name: bool = False
    ) -> None:
        """Read the signature; with `context_by_name`, `**arguments` get nothing of the context.

        Raises:
            DocumentError: the function requires an argument that the operation does not have.
        """
        self.function = operation.function
        plain = unwrap_decorators(self.function)
        self.is_async = inspect.iscoroutinefunction(plain)
        self.in_thread = getattr(self.function, IN_THREAD_ATTRIBUTE, False)
        parameters = inspect.signature(plain).parameters.values()
        self.takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
        named = [each for each in parameters if each.kind not in {each.VAR_POSITIONAL, each.VAR_KEYWORD}]
        self.names = frozenset(each.name for each in named)
        self.takes_context = self.takes_all and not context_by_name
        self.wants_context = CONTEXT_ARGUMENT in self.names
        self.needs_context = self.takes_context or self.wants_context
        self.takes_declared = self.takes_all or declared <= self.names
        required = {each.name for each in named if each.default is each.empty}
        # None for optional parameters that were not sent.
        self.none_arguments = dict.fromkeys(required & declared)
        self.takes_exactly = self.takes_declared and not self.none_arguments
        if plain is self.function and not has_files and (unknown := required - declared - CONTEXT_ARGUMENTS):
            raise DocumentError(
                operation.pointer,
                f"the handler {self.function.__qualname__} requires {', '.join(sorted(unknown))}, "
                "which the operation does not declare",
                "declare the parameter, or give the argument a default",
            )

    def select_arguments(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments that the function accepts."""
        if not self.takes_declared:
            arguments = {name: value for name, value in arguments.items() if name in self.names}
        return {**self.none_arguments, **arguments} if self.none_arguments else arguments

    def accepts(self, name: str) -> bool:
        """Return whether the function accepts an argument of this name."""
        return self.takes_all or name in self.names

    def add_context(self, arguments: dict[str, Any], context: dict[str, Any]) -> None:
        """Add the values of the context that the function accepts, such as `user` and `token_info`."""
        arguments.update(
            {name: value for name, value in context.items() if self.takes_context or name in self.names}
        )
        if self.wants_context:
            arguments[CONTEXT_ARGUMENT] = context


def make_missing_handler(error: Exception, status: int) -> Callable[..., Any]:
    """Return a handler that responds with `resolver_error`, for an operationId without a function."""

    def fail(**_arguments: Any) -> Any:
        raise ResolverProblem(detail=str(error.args[0]), status=status)

    return fail


async def await_if_needed(returned: Any) -> Any:
    """Return what the function returned, awaited where a decorator made it a coroutine."""
    while asyncio.iscoroutine(returned) or isinstance(returned, Awaitable):
        returned = await returned
    return returned
