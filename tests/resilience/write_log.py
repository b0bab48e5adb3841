"""The record of writes: what the service has acknowledged, compared with the database afterwards."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Stored(NamedTuple):
    """The stored state of a user."""

    username: str
    changes: int


class Discrepancies(NamedTuple):
    """The discrepancies: acknowledged writes that are missing, and writes applied twice."""

    lost: list[str]
    doubled: list[str]


@dataclass
class Entry:
    """What a writer knows about its own user. None is an unknown outcome: no response, or 503."""

    email: str
    created: bool | None = None
    deleted: bool | None = False
    acknowledged: int = 0
    unknown: int = 0
    names: tuple[str, ...] = ("new",)

    def changed(self, name: str, *, acknowledged: bool) -> None:
        """Record a change: the user then has this name, or that of an earlier change of unknown outcome."""
        self.names = (name,) if acknowledged and not self.unknown else (*self.names, name)
        self.acknowledged += acknowledged
        self.unknown += not acknowledged

    def balance(self, stored: Stored | None) -> Discrepancies:
        """Compare with the stored state and the changes that it has had."""
        if stored is None:
            return Discrepancies(
                [f"{self.email} was acknowledged"] if self.created and self.deleted is False else [], []
            )
        lost = [f"{self.email} was deleted"] if self.deleted else []
        if stored.changes < self.acknowledged or stored.username not in self.names:
            lost.append(
                f"{self.email} should have {self.acknowledged} changes to {self.names}, but is {stored}"
            )
        doubled = stored.changes > self.acknowledged + self.unknown
        return Discrepancies(
            lost,
            [f"{self.email} has had {stored.changes} changes, not {self.acknowledged}+{self.unknown}"]
            if doubled
            else [],
        )


def balance(entries: Iterable[Entry], stored: Mapping[str, Stored]) -> Discrepancies:
    """Compare all entries with the stored state."""
    balances = [entry.balance(stored.get(entry.email)) for entry in entries]
    return Discrepancies(
        [text for each in balances for text in each.lost],
        [text for each in balances for text in each.doubled],
    )
