"""Compiles the definitions of parameters, and rejects those that OpenAPI leaves undefined."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from users_api.engine.failures import DocumentError
from users_api.engine.parameter_readers import (
    JSON,
    MAX_PIECES,
    MISSING,
    DeepObject,
    Definition,
    ExplodedArray,
    ExplodedObject,
    Parameter,
    Read,
    ReaderFactory,
    json_reader,
    make_reader,
    parsed_reader,
    read_deep,
    read_properties,
    read_repeated,
    text_reader,
)
from users_api.engine.schemas import Direction, Schema, Schemas
from users_api.engine.styles import (
    ANYTHING,
    DELIMITERS,
    STYLES,
    SchemaConjunction,
    Shape,
    Types,
    parts,
)

EMPTY: Final[dict[str | None, Callable[[], Any]]] = {"string": str, "array": list, "object": dict}


class ParameterCompiler:
    """Compiles the definitions of parameters; anything that OpenAPI leaves undefined raises DocumentError."""

    def __init__(self, schemas: Schemas, *, strict: bool, parsed: bool) -> None:
        """If `parsed`, leave the splitting of path and query to one of Connexion's URI parsers."""
        self._schemas, self._strict, self._parsed = schemas, strict, parsed

    def compile(self, definition: Definition, pointer: str, argument: str) -> Parameter:
        """Return the parameter."""
        _refuse_contradictions(definition, pointer)
        parameter = (
            self._content(definition, pointer)
            if "content" in definition
            else self._styled(definition, pointer)
        )
        parameter.argument = argument
        return parameter

    def _content(self, definition: Definition, pointer: str) -> Parameter:
        ((media_type, content),) = definition["content"].items()
        at = f"{pointer}/content/{media_type.replace('~', '~0').replace('/', '~1')}"
        if not JSON.fullmatch(media_type):
            refuse(at, "a parameter's content is not JSON", "write application/json")
        definition = {"schema": ANYTHING, **content, **definition}
        read = json_reader(self._most_items(definition, f"{at}/schema"))
        return self._build(Parameter, definition, f"{at}/schema", read, is_nested=True)

    def _styled(self, definition: Definition, pointer: str) -> Parameter:
        location, name, view, at = (
            definition["in"],
            definition["name"],
            SchemaConjunction((definition["schema"],)),
            f"{pointer}/schema",
        )
        style = definition.get("style", STYLES[location][0])
        explode = definition.get("explode", style == "form")
        most_items = self._most_items(definition, at)
        types = Types(
            self._schemas, at, deep=style == "deepObject", strict=self._strict, most_items=most_items
        )
        shapes = types.shapes(view)
        _refuse_undefined(location, style, shapes, pointer, explode=explode)
        kind, make = Parameter, text_reader(style, name, explode=explode)
        if self._parsed and location in ("path", "query"):
            read = parsed_reader(types.compile(view))
        else:
            kind, make = (
                _query_kind(style, shapes, make, explode=explode) if location == "query" else (kind, make)
            )
            read = make_reader(types, view, make)
        parameter = self._build(kind, definition, at, read, is_nested=shapes != {"primitive"})
        if isinstance(parameter, ExplodedObject):
            parameter.names, parameter.is_free = _names(types, view)
        return (
            _accept_empty(parameter, types.outline(view).type)
            if definition.get("allowEmptyValue")
            else parameter
        )

    def _build(
        self, kind: type[Parameter], definition: Definition, pointer: str, read: Read, *, is_nested: bool
    ) -> Parameter:
        schema = self._schemas.compile(definition["schema"], pointer, Direction.REQUEST)
        parameter = kind(definition, read, schema, is_nested=is_nested)
        if not parameter.required:
            parameter.default = self._default(definition["schema"], schema, pointer)
        return parameter

    def _most_items(self, definition: Definition, pointer: str) -> int:
        schema = self._schemas.compile(definition["schema"], pointer, Direction.REQUEST)
        return schema.size.limit(MAX_PIECES)

    def _default(self, definition: Mapping[str, Any], schema: Schema, pointer: str) -> Any:
        """Return an absent parameter's value: its default, or its properties' defaults as in Connexion."""
        found = parts((definition,), self._schemas)
        for part in found:
            if "default" in part:
                if wrong := schema.explain_at_startup(part["default"]):
                    refuse(f"{pointer}/default", f"the default {wrong[0].message}", "correct it")
                return part["default"]
        is_object = any("properties" in part for part in found)
        return (schema.fill_defaults({}) or MISSING) if is_object else MISSING


def refuse(pointer: str, problem: str, instead: str) -> NoReturn:
    """Raise DocumentError; a call instead of a statement, so that conditions stay on one line."""
    raise DocumentError(pointer, problem, instead)


def _refuse_contradictions(definition: Definition, pointer: str) -> None:
    location = definition["in"]
    if location not in STYLES:
        refuse(
            f"{pointer}/in",
            f"{location} is not a location of parameters",
            f"write one of {', '.join(STYLES)}",
        )
    if location == "path" and definition.get("required") is not True:
        refuse(pointer, "a path parameter is not required", "write `required: true`")
    if ("schema" in definition) == ("content" in definition):
        refuse(pointer, "a parameter needs exactly one of `schema` and `content`", "write one of them")
    if len(definition.get("content", ("one",))) != 1:
        refuse(
            f"{pointer}/content", "a parameter's content needs exactly one media type", "write one of them"
        )
    for word in ("allowEmptyValue", "allowReserved"):
        if definition.get(word) is True and location != "query":
            refuse(f"{pointer}/{word}", f"`{word}` applies to query parameters only", "remove it")


def _refuse_undefined(location: str, style: str, shapes: set[Shape], pointer: str, *, explode: bool) -> None:
    """Reject combinations that OpenAPI 3.0.3 does not list in Style Values and Style Examples."""
    if style not in STYLES[location]:
        refuse(
            f"{pointer}/style",
            f"style {style} is not defined in {location}",
            f"write one of {', '.join(STYLES[location])}",
        )
    if style == "deepObject" and shapes != {"object"}:
        refuse(f"{pointer}/style", "style deepObject is defined for objects only", "write style form")
    if style in DELIMITERS and "primitive" in shapes:
        refuse(f"{pointer}/style", f"style {style} is not defined for this type", "write style form")
    if style in DELIMITERS and explode and "object" in shapes:
        refuse(f"{pointer}/style", f"style {style} is not defined for this type", "write `explode: false`")
    if location == "cookie" and explode and shapes != {"primitive"}:
        refuse(pointer, "an exploded array or object does not fit into a cookie", "write `explode: false`")
    if location == "query" and style == "form" and explode and "object" in shapes and len(shapes) > 1:
        refuse(pointer, "an exploded object is an alternative to another type", "write `explode: false`")


def _query_kind(
    style: str, shapes: set[Shape], make: ReaderFactory, *, explode: bool
) -> tuple[type[Parameter], ReaderFactory]:
    """Return the class and the reader factory of a query parameter, which may have several pairs."""
    if style == "deepObject":
        return DeepObject, read_deep
    if explode and "object" in shapes:
        return ExplodedObject, read_properties
    if explode and "array" in shapes:
        return ExplodedArray, read_repeated
    return Parameter, make


def _names(types: Types, view: SchemaConjunction) -> tuple[frozenset[str], bool]:
    """Return the names of the properties in all alternatives, and whether other names are accepted."""
    outline = types.outline(view)
    names, is_free = frozenset(outline.properties), bool(outline.additional)
    for alternative, _ in types.alternatives(view):
        more, is_freer = _names(types, alternative)
        names, is_free = names | more, is_free or is_freer
    return names, is_free or not names


def _accept_empty(parameter: Parameter, kind: str | None) -> Parameter:
    """Accept the empty text as an empty string, array or object, or None, without validation."""
    read, check = parameter.read, parameter.check
    cleared, empty = ("", [(parameter.name, "")]), EMPTY.get(kind, lambda: None)
    parameter.read = lambda source, decode: empty() if source in cleared else read(source, decode)
    parameter.check = lambda value: [] if value in (None, "", [], {}) else check(value)
    return parameter
