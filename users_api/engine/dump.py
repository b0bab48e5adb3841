"""A faster `Schema.dump`, compiled once from the names of a marshmallow schema's fields.

These names of marshmallow's are private, and nothing else in this package may use them: `Field._serialize`,
which field classes override; `Field._CHECK_ATTRIBUTE`, which is False for fields that read no attribute;
`Number._format_num`; `Schema._serialize` and `Schema._hooks`.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from keyword import iskeyword
from typing import Any, Protocol, runtime_checkable

from marshmallow import Schema, fields, missing
from marshmallow.decorators import POST_DUMP, PRE_DUMP

DumpFunction = Callable[[Any], dict[str, Any]]

_FALLBACK_ERRORS = (AttributeError, LookupError, TypeError)
_SEQUENCE_GETITEM = (tuple.__getitem__, list.__getitem__)


@runtime_checkable
class OrjsonCompatible(Protocol):
    """A field class that reports which values orjson serializes as the field would, unconverted."""

    def is_native_to_orjson(self, value: Any) -> bool:
        """Return whether orjson with OPT_UTC_Z serializes the value, of any type, as the field does."""
        ...


class Dump:
    """Dumps objects by the schema's own `dump`."""

    def __init__(self, schema: Schema) -> None:
        """Store the schema; later changes to it may have no effect."""
        self._schema = schema

    def one(self, row: Any) -> dict[str, Any]:
        """Return what the schema dumps of the object: its attributes, or its items where it has them."""
        dumped: dict[str, Any] = self._schema.dump(row, many=False)
        return dumped

    def many(self, rows: Iterable[Any]) -> list[dict[str, Any]]:
        """Return the same for each object."""
        dumped: list[dict[str, Any]] = self._schema.dump(list(rows), many=True)
        return dumped


class CompiledDump(Dump):
    """Dumps objects with generated functions, or with the schema itself if an attribute is missing."""

    def __init__(self, schema: Schema) -> None:
        """Generate one function for objects with attributes, and one for objects with items."""
        super().__init__(schema)
        of_attributes, of_items = (_compile_dump_function(schema, items=items) for items in (False, True))
        choose = lru_cache(maxsize=256)(lambda kind: of_items if _has_items(kind) else of_attributes)
        self._writer: Callable[[type], DumpFunction] = choose

    def one(self, row: Any) -> dict[str, Any]:
        """Return what the schema dumps of the object."""
        try:
            return self._writer(type(row))(row)
        # The schema gives the default, leaves the field out, or raises the error again.
        except _FALLBACK_ERRORS:
            return super().one(row)

    def many(self, rows: Iterable[Any]) -> list[dict[str, Any]]:
        """Return the same for each object, fastest where all are of one class."""
        rows = list(rows)
        kinds = set(map(type, rows))
        if len(kinds) == 1:
            try:
                return list(map(self._writer(*kinds), rows))
            except _FALLBACK_ERRORS:
                pass
        return list(map(self.one, rows))


def compile_dump(schema: Schema) -> Dump:
    """Return the fastest way to dump what this schema dumps.

    The result equals that of `schema.dump`, or its JSON does for a field class with `is_native_to_orjson`.
    """
    return CompiledDump(schema) if _uses_standard_dump(schema) else Dump(schema)


def _uses_standard_dump(schema: Schema) -> bool:
    inherited = all(_inherits(schema, name, Schema) for name in ("dump", "get_attribute", "_serialize"))
    hooks = schema._hooks[PRE_DUMP] or schema._hooks[POST_DUMP]  # noqa: SLF001 -- no public name exposes them.
    return inherited and not hooks and schema.dict_class is dict


def _inherits(thing: Schema | fields.Field[Any], name: str, base: type) -> bool:
    return getattr(getattr(thing, name), "__func__", None) is getattr(base, name)


def _has_items(kind: type) -> bool:
    """Return whether `row["name"]`, which marshmallow tries before `row.name`, may succeed."""
    return getattr(kind, "__getitem__", tuple.__getitem__) not in _SEQUENCE_GETITEM or issubclass(kind, type)


def _compile_dump_function(schema: Schema, *, items: bool) -> DumpFunction:
    """Return `lambda row: {"id": value if type(value := row.id) is int else dump_0(value, row), ...}`.

    A dict display is the fastest way in Python; a loop over the fields takes several times as long.
    """
    members: list[str] = []
    namespace: dict[str, Any] = {}
    for place, (name, field) in enumerate(schema.dump_fields.items()):
        key = name if field.data_key is None else field.data_key
        attribute = name if field.attribute is None else field.attribute
        member = _Member(field, name, f"row[{attribute!r}]" if items else f"row.{attribute}", place)
        known = _reads_attribute(field) and "." not in attribute and (items or _is_name(attribute))
        members.append(
            f"{key!r}: {member.of_value(namespace) if known else member.of_row(namespace, schema)}"
        )
    source = f"lambda row: {{{', '.join(members)}}}"
    write: DumpFunction = eval(source, namespace)  # noqa: S307 -- written here; names are literals or identifiers.
    return write


def _reads_attribute(field: fields.Field[Any]) -> bool:
    inherited = all(_inherits(field, name, fields.Field) for name in ("serialize", "get_value"))
    return inherited and field._CHECK_ATTRIBUTE  # noqa: SLF001 -- no public name exposes it.


def _is_name(attribute: str) -> bool:
    """Return whether `row.attribute` reads that attribute; Python normalizes identifiers beyond ASCII."""
    return attribute.isascii() and attribute.isidentifier() and not iskeyword(attribute)


class _Member:
    """The expression for one member of the dict, and the functions that it calls."""

    def __init__(self, field: fields.Field[Any], name: str, read: str, place: int) -> None:
        self._field, self._name, self._read = field, name, read
        self._dump, self._writes = f"dump_{place}", f"writes_{place}"

    def of_row(self, namespace: dict[str, Any], schema: Schema) -> str:
        """Call the field's own `serialize`."""
        serialize, name, accessor = self._field.serialize, self._name, schema.get_attribute
        namespace[self._dump] = lambda row: _require_present(serialize(name, row, accessor=accessor))
        return f"{self._dump}(row)"

    def of_value(self, namespace: dict[str, Any]) -> str:
        """Leave a value as it is where the field's class would; let it convert any other."""
        serialize, name = self._field._serialize, self._name  # noqa: SLF001 -- documented for overriding.
        namespace[self._dump] = lambda value, row: _require_present(
            serialize(_require_present(value), name, row)
        )
        if isinstance(self._field, OrjsonCompatible):
            namespace[self._writes] = self._field.is_native_to_orjson
            return f"value if {self._writes}(value := {self._read}) else {self._dump}(value, row)"
        if kind := _passthrough_type(self._field):
            return f"value if type(value := {self._read}) is {kind.__name__} else {self._dump}(value, row)"
        return f"{self._dump}({self._read}, row)"


def _require_present(value: Any) -> Any:
    if value is missing:
        raise LookupError
    return value


def _passthrough_type(field: fields.Field[Any]) -> type | None:
    """Return the class whose values the field dumps unchanged."""
    if isinstance(field, fields.String) and _inherits(field, "_serialize", fields.String):
        return str
    if isinstance(field, fields.Boolean) and _inherits(field, "_serialize", fields.Boolean):
        return bool
    if isinstance(field, fields.Integer | fields.Float) and not field.as_string:
        inherited = all(_inherits(field, name, fields.Number) for name in ("_serialize", "_format_num"))
        return field.num_type if inherited and field.num_type in (int, float) else None
    return None
