"""How large the values are that a schema allows: a larger one is rejected before it is parsed."""

from collections.abc import Mapping
from math import inf, isinf
from typing import Any, Final

from users_api.engine.translation import DEFINITIONS_PREFIX

MIN_LIMIT: Final = 1_000  # So many items and properties are explained one by one, even if fewer are allowed.
MAX_LIMIT: Final = 12_000
Schema = Mapping[str, Any]


def limit_items(most_items: float, unlimited: int = MAX_LIMIT) -> int:
    """Return how many items and properties a client may send if the schema allows `most_items`.

    `unlimited` is the limit of a value whose schema sets none.
    """
    return unlimited if isinf(most_items) else max(MIN_LIMIT, int(most_items))


class Sizes:
    """The largest number of items and properties, nested ones included, in values of translated schemas."""

    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        """Look references up in these definitions, to which more may be added later."""
        self._definitions = definitions
        self._known: dict[str, float] = {}

    def most_items(self, schema: Schema | None) -> float:
        """Return the largest number that the schema allows; infinity if there is no schema or no limit."""
        if not schema:
            return inf
        if "$ref" in schema:
            return self._most_of_definition(schema["$ref"].removeprefix(DEFINITIONS_PREFIX))
        if schema.get("not") == {}:
            return 0
        limits = [self._own_limit(schema), *map(self.most_items, schema.get("allOf", ()))]
        limits += [max(map(self.most_items, schema[word])) for word in ("anyOf", "oneOf") if word in schema]
        return min(limits)

    def _most_of_definition(self, key: str) -> float:
        if key not in self._known:
            self._known[key] = inf  # A schema that contains itself has no limit.
            self._known[key] = self.most_items(self._definitions[key])
        return self._known[key]

    def _own_limit(self, schema: Schema) -> float:
        types = schema.get("type", ("array", "object"))
        return max(
            self._most_in_array(schema) if "array" in types else 0,
            self._most_in_object(schema) if "object" in types else 0,
        )

    def _most_in_array(self, schema: Schema) -> float:
        most: float = schema.get("maxItems", inf)
        return most and most * (1 + self.most_items(schema.get("items")))

    def _most_in_object(self, schema: Schema) -> float:
        declared = [1 + self.most_items(each) for each in schema.get("properties", {}).values()]
        additional = schema.get("additionalProperties")
        if additional is False:
            return sum(declared)
        most: float = schema.get("maxProperties", inf)
        return most and most * max(1 + self.most_items(additional), *declared, 0)
