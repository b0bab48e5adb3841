"""How a handler is called: with the arguments that it asks for, where it cannot hold up other requests.

Plain functions run in a thread pool, as Connexion runs them, or wherever the program says: `App(run_plain=…)`. A coroutine
function runs on the event loop.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine, Generator
from time import perf_counter
from types import coroutine
from typing import Any, Final, TypeVar

from anyio import CapacityLimiter, to_thread
from connexion.decorators.parameter import unwrap_decorators
from connexion.exceptions import ResolverProblem

from users_api.engine.failures import DocumentError

BLOCKING_SECONDS: Final = 0.1
CONTEXT: Final = "context_"  # Connexion gives the whole context under this name.
IN_THREAD: Final = "runs_in_thread"
PASSED_LATER: Final = frozenset({CONTEXT, "user", "token_info"})

logger = logging.getLogger(__name__)
Function = TypeVar("Function", bound=Callable[..., Any])
RunPlain = Callable[[Callable[[], Any]], Coroutine[Any, Any, Any]]


def in_thread(function: Function) -> Function:
    """Mark a handler that waits for what does not cooperate with the event loop: it runs in the thread pool."""
    setattr(function, IN_THREAD, True)
    return function


class Threads:
    """The thread pool of plain handlers: at most so many run at once, the others queue."""

    def __init__(self, size: int) -> None:
        """Take the number of threads."""
        self._size = size
        self._limiter: CapacityLimiter | None = None

    async def __call__(self, function: Callable[[], Any]) -> Any:
        """Return what the function returns in a thread of the pool."""
        if self._limiter is None:
            self._limiter = CapacityLimiter(self._size)
        return await to_thread.run_sync(function, limiter=self._limiter)


@coroutine
def watched(running: Coroutine[Any, Any, Any], operation_id: str) -> Generator[Any, Any, Any]:
    """Run the coroutine, and log each step in which it holds the event loop for more than a tenth of a second."""
    step: Callable[[Any], Any] = running.send
    sent: Any = None
    while True:
        began = perf_counter()
        try:
            waits_for = step(sent)
        except StopIteration as end:
            return end.value
        finally:
            if (held := perf_counter() - began) > BLOCKING_SECONDS:
                logger.warning("%s held the event loop for %.0f ms", operation_id, held * 1000)
        try:
            sent, step = (yield waits_for), running.send
        except BaseException as error:  # noqa: BLE001 -- whatever it is, the coroutine handles it or raises it again.
            sent, step = error, running.throw


class Handler:
    """A function of the program, with what its signature says about its arguments."""

    def __init__(self, operation: Any, declared: frozenset[str], *, has_files: bool) -> None:
        """Read the signature.

        Raises:
            DocumentError: the function requires an argument that the operation does not have.
        """
        self.function = operation.function
        plain = unwrap_decorators(self.function)
        self.is_async = inspect.iscoroutinefunction(plain)
        self.in_thread = getattr(self.function, IN_THREAD, False)
        parameters = inspect.signature(plain).parameters.values()
        self.takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
        named = [each for each in parameters if each.kind not in {each.VAR_POSITIONAL, each.VAR_KEYWORD}]
        self.names = frozenset(each.name for each in named)
        self.wants_context = CONTEXT in self.names
        self.takes_declared = self.takes_all or declared <= self.names
        required = {each.name for each in named if each.default is each.empty}
        self.absent = dict.fromkeys(required & declared)  # An optional parameter that was not sent is None to such a function.
        if plain is self.function and not has_files and (unknown := required - declared - PASSED_LATER):
            raise DocumentError(
                operation.pointer,
                f"the handler {self.function.__qualname__} requires {', '.join(sorted(unknown))}, "
                "which the operation does not declare",
                "declare the parameter, or give the argument a default",
            )

    def select(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return those of the arguments that the function takes."""
        if not self.takes_declared:
            arguments = {name: value for name, value in arguments.items() if name in self.names}
        return {**self.absent, **arguments} if self.absent else arguments

    def takes(self, name: str) -> bool:
        """Return whether the function takes an argument of this name."""
        return self.takes_all or name in self.names

    def add_context(self, arguments: dict[str, Any], context: dict[str, Any]) -> None:
        """Pass what the context holds, such as `user` and `token_info`."""
        arguments.update({name: value for name, value in context.items() if self.takes(name)})
        if self.wants_context:
            arguments[CONTEXT] = context


def unresolved(error: Exception, status: int) -> Callable[..., Any]:
    """Return a handler that answers the status given as `resolver_error`: the operationId leads to no function."""

    def fail(**_arguments: Any) -> Any:
        raise ResolverProblem(detail=str(error.args[0]), status=status)

    return fail


async def finish(returned: Any) -> Any:
    """Return what the function returned, awaited where a decorator made it a coroutine."""
    while asyncio.iscoroutine(returned) or isinstance(returned, Awaitable):
        returned = await returned
    return returned
