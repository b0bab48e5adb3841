"""The account of writes: what the service has acknowledged, beside what the database holds afterwards."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Stored(NamedTuple):
    """What the database holds of a user."""

    username: str
    version: int


class Balance(NamedTuple):
    """What does not add up: acknowledged writes that are missing, and writes that were made twice."""

    lost: list[str]
    doubled: list[str]


@dataclass
class Entry:
    """What one writer knows of one user that it alone writes. None is an unknown outcome: no answer, or 503."""

    email: str
    created: bool | None = None
    deleted: bool | None = False
    acknowledged: int = 0
    unknown: int = 0
    names: tuple[str, ...] = ("new",)

    def changed(self, name: str, *, acknowledged: bool) -> None:
        """Note a change: the user then has its name, or that of a change before it whose outcome is unknown."""
        self.names = (name,) if acknowledged and not self.unknown else (*self.names, name)
        self.acknowledged += acknowledged
        self.unknown += not acknowledged

    def balance(self, stored: Stored | None) -> Balance:
        """Compare with what is stored; each change has added one to the version."""
        if stored is None:
            return Balance([f"{self.email} was acknowledged"] if self.created and self.deleted is False else [], [])
        lost = [f"{self.email} was deleted"] if self.deleted else []
        changes = stored.version - 1
        if changes < self.acknowledged or stored.username not in self.names:
            lost.append(f"{self.email} has had {self.acknowledged} changes to {self.names}, not {stored}")
        doubled = changes > self.acknowledged + self.unknown
        return Balance(
            lost, [f"{self.email} has had {self.acknowledged}+{self.unknown} changes, not {changes}"] if doubled else []
        )


def balance(entries: Iterable[Entry], stored: Mapping[str, Stored]) -> Balance:
    """Compare every entry with what is stored."""
    balances = [entry.balance(stored.get(entry.email)) for entry in entries]
    return Balance([text for each in balances for text in each.lost], [text for each in balances for text in each.doubled])
