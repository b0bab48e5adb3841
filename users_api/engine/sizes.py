"""How large the values are that a schema allows: a larger one is rejected before it is parsed."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from users_api.engine.translation import DEFINITIONS_PREFIX

MIN_LIMIT: Final = 1_000  # So many items and properties are explained one by one, even if fewer are allowed.
MAX_LIMIT: Final = 12_000
Schema = Mapping[str, Any]


class Size(NamedTuple):
    """The largest number of items and properties, nested ones included, where the schema limits them."""

    items: int
    is_limited: bool = True
    """Whether nothing in the schema is without a limit."""

    def limit(self, unlimited: int = MAX_LIMIT) -> int:
        """Return how many items and properties to accept, `unlimited` of them in parts without a limit."""
        if self.is_limited:
            return max(MIN_LIMIT, self.items)
        return unlimited if self.items <= MIN_LIMIT else unlimited + self.items


UNLIMITED: Final = Size(0, is_limited=False)


class Sizes:
    """The sizes of the values of translated schemas."""

    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        """Look references up in these definitions, to which more may be added later."""
        self._definitions = definitions
        self._known: dict[str, Size] = {}

    def size(self, schema: Schema | None) -> Size:
        """Return the size; a schema that contains itself has no limit."""
        if not schema:
            return UNLIMITED
        if "$ref" in schema:
            return self._size_of_definition(schema["$ref"].removeprefix(DEFINITIONS_PREFIX))
        if schema.get("not") == {}:
            return Size(0)
        sizes = [self._own_size(schema), *map(self.size, schema.get("allOf", ()))]
        sizes += [_largest(map(self.size, schema[word])) for word in ("anyOf", "oneOf") if word in schema]
        limited = [each for each in sizes if each.is_limited]
        return min(limited) if limited else max(sizes)

    def _size_of_definition(self, key: str) -> Size:
        if key not in self._known:
            self._known[key] = UNLIMITED
            self._known[key] = self.size(self._definitions[key])
        return self._known[key]

    def _own_size(self, schema: Schema) -> Size:
        types = schema.get("type", ("array", "object"))
        return _largest(
            [
                self._size_of_array(schema) if "array" in types else Size(0),
                self._size_of_object(schema) if "object" in types else Size(0),
            ]
        )

    def _size_of_array(self, schema: Schema) -> Size:
        most = schema.get("maxItems")
        if most is None:
            return UNLIMITED
        items, is_limited = self.size(schema.get("items"))
        return Size(int(most) * (1 + items), is_limited or not most)

    def _size_of_object(self, schema: Schema) -> Size:
        declared = [self.size(each) for each in schema.get("properties", {}).values()]
        additional, most = schema.get("additionalProperties"), schema.get("maxProperties")
        if additional is False or most is None:
            is_limited = additional is False and all(each.is_limited for each in declared)
            return Size(len(declared) + sum(each.items for each in declared), is_limited)
        items, is_limited = _largest([self.size(additional), *declared])
        return Size(int(most) * (1 + items), is_limited or not most)


def _largest(sizes: Iterable[Size]) -> Size:
    """Return the size of a value that has one of several."""
    found = list(sizes)
    return Size(max(each.items for each in found), all(each.is_limited for each in found))
