"""What a check finds."""

from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """How much a finding matters; only a problem fails the command."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    NOT_CHECKED = "not_checked"


class Finding(NamedTuple):
    """One line about one thing, without secrets, and what to do about it."""

    state: State
    text: str
    advice: str = ""


class Result(NamedTuple):
    """A finding, with the check and the group that it belongs to."""

    group: str
    check: str
    finding: Finding


def ok(text: str) -> Finding:
    """Return that a thing is in order."""
    return Finding(State.OK, text)


def warning(text: str, advice: str) -> Finding:
    """Return what may cause trouble."""
    return Finding(State.WARNING, text, advice)


def problem(text: str, advice: str = "") -> Finding:
    """Return what prevents the service from working."""
    return Finding(State.PROBLEM, text, advice)


def not_checked(text: str) -> Finding:
    """Return why there is no finding."""
    return Finding(State.NOT_CHECKED, text)
