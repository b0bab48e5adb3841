"""What marshmallow dumps, compiled once from the schema by the names of its fields.

These names of marshmallow's are private, and nothing else in this package may use them: `Field._serialize`,
which is what a field class overrides; `Field._CHECK_ATTRIBUTE`, which tells fields that read no attribute;
`Number._format_num`; `Schema._serialize` and `Schema._hooks`.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from keyword import iskeyword
from typing import Any, Protocol, runtime_checkable

from marshmallow import Schema, fields, missing
from marshmallow.decorators import POST_DUMP, PRE_DUMP

Write = Callable[[Any], dict[str, Any]]

_NOT_AS_COMPILED = (AttributeError, LookupError, TypeError)
_POSITIONAL = (tuple.__getitem__, list.__getitem__)


@runtime_checkable
class OrjsonWrites(Protocol):
    """A field class that tells which values orjson writes as the field dumps them; those stay as they are."""

    def orjson_writes(self, value: Any) -> bool:
        """Return whether orjson, with OPT_UTC_Z, writes the value, whatever it is, as the field dumps it."""
        ...


class Dump:
    """Dumps objects by the schema's own `dump`."""

    def __init__(self, schema: Schema) -> None:
        """Take the schema; what is changed in it from now on need not show."""
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
    """Dumps objects by functions made for the schema, and by the schema where an attribute is missing."""

    def __init__(self, schema: Schema) -> None:
        """Make one function for objects with attributes, and one for those with items."""
        super().__init__(schema)
        of_attributes, of_items = (_writer(schema, items=items) for items in (False, True))
        choose = lru_cache(maxsize=256)(lambda kind: of_items if _has_items(kind) else of_attributes)
        self._writer: Callable[[type], Write] = choose

    def one(self, row: Any) -> dict[str, Any]:
        """Return what the schema dumps of the object."""
        try:
            return self._writer(type(row))(row)
        except _NOT_AS_COMPILED:  # The schema gives the default, leaves the field out, or raises the error again.
            return super().one(row)

    def many(self, rows: Iterable[Any]) -> list[dict[str, Any]]:
        """Return the same for each object, fastest where all are of one class."""
        rows = list(rows)
        kinds = set(map(type, rows))
        if len(kinds) == 1:
            try:
                return list(map(self._writer(*kinds), rows))
            except _NOT_AS_COMPILED:
                pass
        return list(map(self.one, rows))


def compile_dump(schema: Schema) -> Dump:
    """Return the fastest way to dump what this schema dumps.

    What it dumps equals what `schema.dump` does: at once, or as JSON where a field class says `orjson_writes`.
    """
    return CompiledDump(schema) if _is_plain(schema) else Dump(schema)


def _is_plain(schema: Schema) -> bool:
    inherited = all(_inherits(schema, name, Schema) for name in ("dump", "get_attribute", "_serialize"))
    hooks = schema._hooks[PRE_DUMP] or schema._hooks[POST_DUMP]  # noqa: SLF001 -- no public name tells them.
    return inherited and not hooks and schema.dict_class is dict


def _inherits(thing: Schema | fields.Field[Any], name: str, base: type) -> bool:
    return getattr(getattr(thing, name), "__func__", None) is getattr(base, name)


def _has_items(kind: type) -> bool:
    """Tell whether `row["name"]`, which marshmallow tries before `row.name`, may find something."""
    return getattr(kind, "__getitem__", tuple.__getitem__) not in _POSITIONAL or issubclass(kind, type)


def _writer(schema: Schema, *, items: bool) -> Write:
    """Return `lambda row: {"id": value if type(value := row.id) is int else dump_0(value, row), ...}`.

    No Python is faster than such a display of a dict; a loop over the fields takes several times as long.
    """
    members: list[str] = []
    namespace: dict[str, Any] = {}
    for place, (name, field) in enumerate(schema.dump_fields.items()):
        key = name if field.data_key is None else field.data_key
        attribute = name if field.attribute is None else field.attribute
        member = _Member(field, name, f"row[{attribute!r}]" if items else f"row.{attribute}", place)
        known = _reads_attribute(field) and "." not in attribute and (items or _is_name(attribute))
        members.append(f"{key!r}: {member.of_value(namespace) if known else member.of_row(namespace, schema)}")
    source = f"lambda row: {{{', '.join(members)}}}"
    write: Write = eval(source, namespace)  # noqa: S307 -- written here; names are literals or identifiers.
    return write


def _reads_attribute(field: fields.Field[Any]) -> bool:
    inherited = all(_inherits(field, name, fields.Field) for name in ("serialize", "get_value"))
    return inherited and field._CHECK_ATTRIBUTE  # noqa: SLF001 -- no public name tells it.


def _is_name(attribute: str) -> bool:
    """Tell whether `row.attribute` reads just that; beyond ASCII, Python takes some letters for others."""
    return attribute.isascii() and attribute.isidentifier() and not iskeyword(attribute)


class _Member:
    """The expression that gives one member of the object, and the functions that it calls."""

    def __init__(self, field: fields.Field[Any], name: str, read: str, place: int) -> None:
        self._field, self._name, self._read = field, name, read
        self._dump, self._writes = f"dump_{place}", f"writes_{place}"

    def of_row(self, namespace: dict[str, Any], schema: Schema) -> str:
        """Call the field's own `serialize`."""
        serialize, name, accessor = self._field.serialize, self._name, schema.get_attribute
        namespace[self._dump] = lambda row: _present(serialize(name, row, accessor=accessor))
        return f"{self._dump}(row)"

    def of_value(self, namespace: dict[str, Any]) -> str:
        """Leave a value as it is where the field's class would; let it convert any other."""
        serialize, name = self._field._serialize, self._name  # noqa: SLF001 -- what marshmallow has field classes override.
        namespace[self._dump] = lambda value, row: _present(serialize(_present(value), name, row))
        if isinstance(self._field, OrjsonWrites):
            namespace[self._writes] = self._field.orjson_writes
            return f"value if {self._writes}(value := {self._read}) else {self._dump}(value, row)"
        if kind := _unchanged(self._field):
            return f"value if type(value := {self._read}) is {kind.__name__} else {self._dump}(value, row)"
        return f"{self._dump}({self._read}, row)"


def _present(value: Any) -> Any:
    if value is missing:
        raise LookupError
    return value


def _unchanged(field: fields.Field[Any]) -> type | None:
    """Return the class whose values the field dumps as they are."""
    if isinstance(field, fields.String) and _inherits(field, "_serialize", fields.String):
        return str
    if isinstance(field, fields.Boolean) and _inherits(field, "_serialize", fields.Boolean):
        return bool
    if isinstance(field, fields.Integer | fields.Float) and not field.as_string:
        inherited = all(_inherits(field, name, fields.Number) for name in ("_serialize", "_format_num"))
        return field.num_type if inherited and field.num_type in (int, float) else None
    return None
