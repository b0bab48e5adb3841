"""Texts of any size by a few parameters: what is repeated, how often, and what surrounds it."""

import json
from typing import Any, NamedTuple, Self

COUNTER = "#"  # The first in a unit is replaced by the number of the repetition.


class Shape(NamedTuple):
    """A text: head, openings, start, units with joints between them, end, as many closings, tail."""

    unit: str
    count: int = 1
    joint: str = ""
    head: str = ""
    tail: str = ""
    start: str = ""
    end: str = ""
    depth: int = 0
    opening: str = ""
    closing: str = ""

    def filling(self, size: int) -> Self:
        """Return the same shape with as many units as fit into a text of this many bytes, at least one."""
        rest = size - len(_encode(self._replace(count=0).text()))
        unit = len(_encode(self.unit + self.joint)) or size  # An empty unit fills nothing.
        count = max(1, rest // unit)
        if COUNTER in self.unit:
            while count > 1 and count * (unit - 1) + _digits(count) > rest:
                count = count * 15 // 16
        return self._replace(count=count)

    def text(self) -> str:
        """Return the text."""
        before, counter, after = self.unit.partition(COUNTER)
        if counter and self.count:
            units = before + f"{after}{self.joint}{before}".join(map(str, range(self.count))) + after
        else:
            units = self.joint.join([self.unit] * self.count)
        inside = f"{self.start}{units}{self.end}"
        return f"{self.head}{self.opening * self.depth}{inside}{self.closing * self.depth}{self.tail}"

    def parameters(self) -> dict[str, Any]:
        """Return the parameters that differ from their defaults."""
        defaults = Shape("")
        return {
            name: value for name, value in self._asdict().items() if value != getattr(defaults, name, None)
        }


def around(value: Any, path: tuple[str | int, ...]) -> tuple[str, str]:
    """Return the JSON before and after the value at the path."""
    if not path:
        return "", ""
    key, *rest = path
    before, after = around(value[key], tuple(rest))
    names = list(value) if isinstance(value, dict) else list(range(len(value)))
    at = names.index(key)
    first, last = ("{", "}") if isinstance(value, dict) else ("[", "]")
    members = [_member(value, name) for name in names]
    label = f"{json.dumps(key)}:" if isinstance(value, dict) else ""
    left = "".join(f"{member}," for member in members[:at])
    right = "".join(f",{member}" for member in members[at + 1 :])
    return f"{first}{left}{label}{before}", f"{after}{right}{last}"


def sites(value: Any) -> list[tuple[tuple[str | int, ...], Any]]:
    """Return each value in a JSON value with its path, the whole first."""
    found: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    if isinstance(value, (dict, list)):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        found += [((key, *path), inner) for key, each in pairs for path, inner in sites(each)]
    return found


def compact(value: Any) -> str:
    """Return the value as JSON without spaces."""
    return json.dumps(value, separators=(",", ":"))


def _member(value: Any, name: str | int) -> str:
    text = compact(value[name])
    return f"{json.dumps(name)}:{text}" if isinstance(value, dict) else text


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _digits(count: int) -> int:
    """Return how many digits the numbers below `count` have together."""
    return sum(count - 10**power for power in range(1, len(str(count)))) + count
