"""What the responses show about each schema: the document must reject everything that they never show."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.contract.mutants.resolution import Part
from tests.contract.mutants.verdicts import compiled

SPECIMENS = (None, True, 1.5, 7, "text", [], {})
# A name in an invalid payload can be any text, and messages quote the rule, so no character can be excluded.
ANY_TEXT = {
    "#/components/schemas/FieldError/properties/field",
    "#/components/schemas/FieldError/properties/message",
}
OPEN_ENDS = {
    "#/components/schemas/FieldError/properties/message",
    "#/components/schemas/Refusal/properties/errors",
}
# The shortest value comes from an operation that exists only with AUTH=required.
LONGER_BEGINNINGS = {"#/components/headers/Allow/schema"}
MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T")


class Observations:
    """The observations of one schema: its extreme values and kinds of values."""

    def __init__(self, schema: Part) -> None:
        self.schema, self.kinds, self.said = schema, set[type](), set[Any]()
        self.ends, self.keys = dict[str, tuple[float, Any]](), dict[frozenset[str], Any]()

    def add(self, value: Any) -> None:
        """Add one value."""
        self.kinds.add(type(value))
        if isinstance(value, dict):
            self.keys.setdefault(frozenset(value), value)
        elif isinstance(value, (str, list)):
            self._keep("shortest", -len(value), value)
            self._keep("longest", len(value), value)
        elif type(value) in {int, float}:
            self._keep("smallest", -value, value)
            self._keep("largest", value, value)
        if "enum" in self.schema:
            self.said.add(value)

    def merge(self, other: "Observations") -> None:
        """Add the observations of the same schema at another place."""
        self.kinds |= other.kinds
        self.said |= other.said
        self.keys = other.keys | self.keys
        for end, (size, value) in other.ends.items():
            self._keep(end, size, value)

    def _keep(self, end: str, size: float, value: Any) -> None:
        if end not in self.ends or size > self.ends[end][0]:
            self.ends[end] = size, value

    def complaints(self) -> Iterator[str]:
        """Yield promises of the schema that no response shows, and permissions that no response uses."""
        accepts = compiled(self.schema).is_valid
        for specimen in SPECIMENS:
            if type(specimen) not in self.kinds and accepts(specimen):
                yield f"the document allows {specimen!r}, which no response contains"
        for what, wrong in self._corruptions():
            if accepts(wrong):
                yield f"{what}: the document allows it, but no response reaches it"
        yield from (
            f"no response contains {word!r}" for word in self.schema.get("enum", ()) if word not in self.said
        )
        if self.keys:
            yield from self._names()

    def _names(self) -> Iterator[str]:
        always, ever = frozenset.intersection(*self.keys), frozenset.union(*self.keys)
        yield from (
            f"no response contains {name!r}" for name in self.schema.get("properties", {}).keys() - ever
        )
        yield from (
            f"{name!r} is always present, but not required"
            for name in always - set(self.schema.get("required", ()))
        )
        if compiled(self.schema).is_valid(next(iter(self.keys.values())) | {"x-unknown": 1}):
            yield "a name is allowed that no response contains"

    def _corruptions(self) -> Iterator[tuple[str, Any]]:
        values = {end: value for end, (_, value) in self.ends.items()}
        if "largest" in values:
            yield "one larger", values["largest"] + 1
            yield "one smaller", values["smallest"] - 1
        if "longest" in values:
            longest, shortest = values["longest"], values["shortest"]
            if self.schema.place not in OPEN_ENDS:
                yield from (
                    ("one longer", longest[: cut + 1] + longest[cut:])
                    for cut in {len(longest) // 4, len(longest) // 2}
                )
            yield from (
                ("one shorter", shortest[:cut] + shortest[cut + 1 :])
                for cut in {0, len(shortest) // 2}
                if shortest and self.schema.place not in LONGER_BEGINNINGS
            )
            if isinstance(longest, str) and self.schema.place not in ANY_TEXT:
                yield "with NUL", f"{longest[: len(longest) // 2]}\0{longest[len(longest) // 2 + 1 :]}"
            if isinstance(longest, str) and MOMENT.match(longest):
                yield "month 13", f"{longest[:5]}13{longest[7:]}"
                yield "another zone", f"{longest[:21]}+00:00"
                yield "finer", f"{longest[:-1]}0Z"
                yield "coarser", f"{longest[:-2]}Z"


def observe(schema: Part, value: Any, seen: dict[str, Observations]) -> None:
    """Record the value at the place of its schema, and all values in it."""
    seen.setdefault(schema.place, Observations(schema)).add(value)
    if isinstance(value, Mapping):
        for name, rule in schema.get("properties", {}).items():
            if name in value:
                observe(rule, value[name], seen)
    elif isinstance(value, list) and "items" in schema:
        for item in value:
            observe(schema["items"], item, seen)
