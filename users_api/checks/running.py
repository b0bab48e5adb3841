"""Runs checks: each has a limit of time, and the failure of one does not prevent the others."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Final, NamedTuple

from users_api.checks.findings import Finding, Result, State, not_checked, problem
from users_api.checks.redaction import describe
from users_api.config import SettingsError

SECONDS: Final = 10
FAILED: Final = {State.PROBLEM, State.NOT_CHECKED}


class Check(NamedTuple):
    """One check; it may raise any exception, which becomes a problem."""

    name: str
    find: Callable[[], Iterable[Finding]]
    after: str = ""
    """The check of the same group without whose success this one is impossible."""
    advice: str = ""
    """What to do about an exception."""
    seconds: float = SECONDS
    """The limit, counted from the end of the previous check at the earliest."""


class Group(NamedTuple):
    """Checks that run one after the other, while those of other groups run too."""

    name: str
    checks: Sequence[Check]
    close: Callable[[], object] = lambda: None
    """Called after the last check."""


class Outcome(NamedTuple):
    """What all checks find, in the order of the groups."""

    results: list[Result]
    hangs: bool
    """Whether a thread is still waiting for something."""


def run(groups: Sequence[Group]) -> Outcome:
    """Run all checks, and return within the sum of their limits."""
    running = [RunningGroup(group) for group in groups]
    results = [result for each in running for result in each.results()]
    return Outcome(results, any(each.hanging for each in running))


class RunningGroup:
    """A group whose checks run in a thread, which the program leaves behind when a check hangs."""

    def __init__(self, group: Group) -> None:
        """Start the thread."""
        self._group, self.hanging = group, ""
        self._found = SimpleQueue[list[Finding]]()
        Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        failed = set[str]()
        for check in self._group.checks:
            findings = [not_checked(f"needs the check `{check.after}`")]
            if check.after not in failed:
                findings = _attempt(check)
            if any(each.state in FAILED for each in findings):
                failed.add(check.name)
            self._found.put(findings)
        with suppress(Exception):  # The connection that is closed here may be lost.
            self._group.close()

    def results(self) -> Iterator[Result]:
        """Yield the findings of each check once they are there, or that it hangs."""
        for check in self._group.checks:
            findings = self._wait(check)
            yield from (Result(self._group.name, check.name, finding) for finding in findings)

    def _wait(self, check: Check) -> list[Finding]:
        if self.hanging:
            return [not_checked(f"the check `{self.hanging}` hangs")]
        try:
            return self._found.get(timeout=check.seconds)
        except Empty:
            self.hanging = check.name
            return [problem(f"no result within {check.seconds:g} s", check.advice)]


def _attempt(check: Check) -> list[Finding]:
    try:
        return list(check.find())
    except SettingsError:  # The check of the settings says which.
        return [not_checked("a setting is wrong")]
    except Exception as error:  # noqa: BLE001 -- libraries raise any exception.
        return [problem(describe(error), check.advice)]
