"""All parameters of one operation: the document's words on query, path, headers and cookies, compiled once.

Stock Connexion builds a validator for each request, stops at the first error and converts no header.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NoReturn, Protocol
from urllib.parse import unquote, unquote_plus

import orjson
from starlette.requests import cookie_parser
from starlette.types import Scope

from users_api.engine.failures import DocumentError, FieldError, InvalidParameter, InvalidPathParameter
from users_api.engine.schemas import Direction, Schema, Schemas
from users_api.engine.styles import (
    ANYTHING,
    DEEPEST,
    DELIMITERS,
    REPEATED,
    STYLES,
    Convert,
    Decode,
    Malformed,
    Shape,
    Types,
    View,
    compile_split,
    null_text,
    parse_deep,
    parts,
    same,
)

Definition = Mapping[str, Any]
Lines = list[tuple[bytes, bytes]]
Pairs = list[tuple[str, str]]
Read = Callable[[Any, Decode], Any]

IGNORED: Final = {"accept", "content-type", "authorization"}  # OpenAPI 3.0.3, Parameter Object, `name`.
BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
JSON: Final = re.compile(r"application/(?:[^;\s]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
NOT_ENCODED: Final = "must be percent-encoded UTF-8"
TOO_DEEP: Final = "is nested too deeply"
REQUIRED: Final = "is required"
PLAIN: Final = {"form", "simple"}  # A single text stands there without further notation.
NOTHING: Final = object()
EMPTY: Final[dict[str | None, Callable[[], Any]]] = {"string": str, "array": list, "object": dict}


class Maker(Protocol):
    """Makes the reader of values of one shape."""

    def __call__(self, shape: Shape, convert: Convert, *, nullable: bool) -> Read:
        """Return the reader."""


class Parameter:
    """A parameter that reads one text; `argument` is the name by which the handler gets its value."""

    __slots__ = ("argument", "check", "default", "fill", "is_nested", "name", "read", "required")

    repeats = False
    spreads = False  # Whether it reads pairs of name and text rather than one text.

    argument: str

    def __init__(self, definition: Definition, read: Read, schema: Schema, *, is_nested: bool) -> None:
        """Keep what a request needs."""
        self.name: str = definition["name"]
        self.required = definition.get("required") is True
        self.read, self.check, self.is_nested = read, schema.errors, is_nested
        self.fill: Convert = schema.fill_defaults if is_nested else same
        self.default: Any = NOTHING

    def take(self, source: Any, decode: Decode, found: dict[str, Any], errors: list[FieldError]) -> None:
        """Put the value among the found arguments; what is wrong with it is added to the errors."""
        try:
            value = self.read(source, decode)
        except Malformed as error:
            found[self.argument] = None
            errors.append(FieldError(self.field(error.path), error.message))
            return
        if wrong := self.check(value):
            errors += [FieldError(self.field(path), message) for path, message in wrong]
        found[self.argument] = value if wrong or self.fill is same else self.fill(value)

    def field(self, path: str) -> str:
        """Return what an error calls the part at a path."""
        return self.name + path if not path or path[0] == "[" else f"{self.name}.{path}"

    def label(self, name: str) -> str:
        """Return what an error calls a name in the query."""
        return name


class ExplodedArray(Parameter):
    """An array that has a pair of name and item for each item."""

    __slots__ = ()
    repeats = spreads = True


class ExplodedObject(Parameter):
    """An object with a pair of name and value for each property; a free one takes undeclared names too."""

    __slots__ = ("is_free", "names")
    spreads = True
    is_free: bool
    names: frozenset[str]

    def label(self, name: str) -> str:
        """Return the path to the property."""
        return self.field(name)


class DeepObject(Parameter):
    """An object that has a pair for each value in it, named by its path: `filter[owner][id]`."""

    __slots__ = ()
    repeats = spreads = True


def text_reader(style: str, name: str, *, explode: bool) -> Maker:
    """Return what makes the readers of one text."""

    def make(shape: Shape, convert: Convert, *, nullable: bool) -> Read:
        if shape == "primitive" and style in PLAIN:
            return (lambda text, decode: decode(text)) if convert is same else (lambda text, decode: convert(decode(text)))
        split = compile_split(style, shape, name, explode=explode)
        null = null_text(style, name) if nullable else None
        return lambda text, decode: None if text == null else convert(split(text, decode))

    return make


def read_repeated(shape: Shape, convert: Convert, *, nullable: bool) -> Read:
    """Return the reader of an exploded array, or of what its schema allows besides."""

    def read(pairs: Pairs, decode: Decode) -> Any:
        texts = [decode(text) for _, text in pairs]
        if nullable and texts == ["null"]:
            return None
        if shape == "array":
            return convert(texts)
        if len(texts) > 1:
            raise Malformed(REPEATED)
        return convert(texts[0])

    return read


def read_properties(shape: Shape, convert: Convert, *, nullable: bool) -> Read:  # noqa: ARG001 -- no text is null
    """Return the reader of an exploded object."""
    return lambda pairs, decode: convert({name: decode(text) for name, text in pairs})


def read_deep(shape: Shape, convert: Convert, *, nullable: bool) -> Read:  # noqa: ARG001 -- the same
    """Return the reader of a deepObject."""
    return lambda pairs, decode: convert(_tree(pairs, decode))


def _tree(pairs: Pairs, decode: Decode) -> dict[str, Any]:
    """Return the texts by their paths, a list of them for each."""
    root: dict[str, Any] = {}
    for name, text in pairs:
        _, *way, last = parse_deep(name)
        if len(way) >= DEEPEST:
            raise Malformed(TOO_DEEP)
        node = root
        for key in way:
            node = node.setdefault(key, {})
            if type(node) is not dict:
                raise Malformed(REPEATED, ".".join(way))
        texts = node.setdefault(last, [])
        if type(texts) is dict:
            raise Malformed(REPEATED, ".".join([*way, last]))
        texts.append(decode(text))
    return root


def _reader(types: Types, view: View, make: Maker) -> Read:
    """Return the reader of a schema; of several alternatives, the first that conforms counts."""
    shapes, alternatives = types.shapes(view), types.alternatives(view)
    if shapes == {"primitive"} or not alternatives:
        (shape,) = shapes
        return make(shape, types.compile(view), nullable=types.outline(view).nullable)
    tries = [(_reader(types, each, make), check) for each, check in alternatives]

    def read(source: Any, decode: Decode) -> Any:
        values, malformed = [], None
        for attempt, check in tries:
            try:
                value = attempt(source, decode)
            except Malformed as error:
                malformed = error
                continue
            if not check(value):
                return value
            values.append(value)
        if not values and malformed:
            raise malformed
        return values[0]

    return read


class Compiler:
    """Compiles the definitions of parameters; whatever OpenAPI leaves undefined raises DocumentError."""

    def __init__(self, schemas: Schemas, *, strict: bool, parsed: bool) -> None:
        """Leave the splitting of path and query to a URI parser of Connexion where they are parsed."""
        self._schemas, self._strict, self._parsed = schemas, strict, parsed

    def compile(self, definition: Definition, pointer: str, argument: str) -> Parameter:
        """Return the parameter."""
        _refuse_contradictions(definition, pointer)
        parameter = self._content(definition, pointer) if "content" in definition else self._styled(definition, pointer)
        parameter.argument = argument
        return parameter

    def _content(self, definition: Definition, pointer: str) -> Parameter:
        ((media_type, content),) = definition["content"].items()
        at = f"{pointer}/content/{media_type.replace('~', '~0').replace('/', '~1')}"
        if not JSON.fullmatch(media_type):
            _refuse(at, "a parameter's content is not JSON", "write application/json")
        return self._build(
            Parameter,
            {"schema": ANYTHING, **content, **definition},
            f"{at}/schema",
            _read_json,
            is_nested=True,
        )

    def _styled(self, definition: Definition, pointer: str) -> Parameter:
        location, name, view, at = (
            definition["in"],
            definition["name"],
            View((definition["schema"],)),
            f"{pointer}/schema",
        )
        style = definition.get("style", STYLES[location][0])
        explode = definition.get("explode", style == "form")
        types = Types(self._schemas, at, deep=style == "deepObject", strict=self._strict)
        shapes = types.shapes(view)
        _refuse_undefined(location, style, shapes, pointer, explode=explode)
        kind, make = Parameter, text_reader(style, name, explode=explode)
        if self._parsed and location in ("path", "query"):
            read = _parsed_reader(types.compile(view))
        else:
            kind, make = _spread(style, shapes, make, explode=explode) if location == "query" else (kind, make)
            read = _reader(types, view, make)
        parameter = self._build(kind, definition, at, read, is_nested=shapes != {"primitive"})
        if isinstance(parameter, ExplodedObject):
            parameter.names, parameter.is_free = _names(types, view)
        return _clearable(parameter, types.outline(view).type) if definition.get("allowEmptyValue") else parameter

    def _build(self, kind: type[Parameter], definition: Definition, pointer: str, read: Read, *, is_nested: bool) -> Parameter:
        schema = self._schemas.compile(definition["schema"], pointer, Direction.REQUEST)
        parameter = kind(definition, read, schema, is_nested=is_nested)
        if not parameter.required:
            parameter.default = self._default(definition["schema"], schema, pointer)
        return parameter

    def _default(self, definition: Mapping[str, Any], schema: Schema, pointer: str) -> Any:
        """Return an absent parameter's value: its default, or its properties' defaults as in Connexion."""
        found = parts((definition,), self._schemas)
        for part in found:
            if "default" in part:
                if wrong := schema.explain_at_startup(part["default"]):
                    _refuse(f"{pointer}/default", f"the default {wrong[0].message}", "correct it")
                return part["default"]
        is_object = any("properties" in part for part in found)
        return (schema.fill_defaults({}) or NOTHING) if is_object else NOTHING


def _refuse(pointer: str, problem: str, instead: str) -> NoReturn:
    raise DocumentError(pointer, problem, instead)


def _refuse_contradictions(definition: Definition, pointer: str) -> None:
    location = definition["in"]
    if location not in STYLES:
        _refuse(f"{pointer}/in", f"{location} is no place for a parameter", f"write one of {', '.join(STYLES)}")
    if location == "path" and definition.get("required") is not True:
        _refuse(pointer, "a path parameter is not required", "write `required: true`")
    if ("schema" in definition) == ("content" in definition):
        _refuse(pointer, "a parameter needs exactly one of `schema` and `content`", "write one of them")
    if len(definition.get("content", ("one",))) != 1:
        _refuse(f"{pointer}/content", "a parameter's content needs exactly one media type", "write one of them")
    for word in ("allowEmptyValue", "allowReserved"):
        if definition.get(word) is True and location != "query":
            _refuse(f"{pointer}/{word}", f"`{word}` applies to query parameters only", "remove it")


def _refuse_undefined(location: str, style: str, shapes: set[Shape], pointer: str, *, explode: bool) -> None:
    """Refuse what the tables of OpenAPI 3.0.3, Style Values and Style Examples, have no entry for."""
    if style not in STYLES[location]:
        _refuse(
            f"{pointer}/style",
            f"style {style} is not defined in {location}",
            f"write one of {', '.join(STYLES[location])}",
        )
    if style == "deepObject" and shapes != {"object"}:
        _refuse(f"{pointer}/style", "style deepObject is defined for objects only", "write style form")
    if style in DELIMITERS and "primitive" in shapes:
        _refuse(f"{pointer}/style", f"style {style} is not defined for this type", "write style form")
    if style in DELIMITERS and explode and "object" in shapes:
        _refuse(f"{pointer}/style", f"style {style} is not defined for this type", "write `explode: false`")
    if location == "cookie" and explode and shapes != {"primitive"}:
        _refuse(pointer, "an exploded array or object does not fit into a cookie", "write `explode: false`")
    if location == "query" and style == "form" and explode and "object" in shapes and len(shapes) > 1:
        _refuse(pointer, "an exploded object is an alternative to another type", "write `explode: false`")


def _spread(style: str, shapes: set[Shape], make: Maker, *, explode: bool) -> tuple[type[Parameter], Maker]:
    """Return the kind and the readers of a query parameter, which may have several pairs of name and text."""
    if style == "deepObject":
        return DeepObject, read_deep
    if explode and "object" in shapes:
        return ExplodedObject, read_properties
    if explode and "array" in shapes:
        return ExplodedArray, read_repeated
    return Parameter, make


def _names(types: Types, view: View) -> tuple[frozenset[str], bool]:
    """Return the names of the properties, all alternatives included, and whether others are taken."""
    outline = types.outline(view)
    names, is_free = frozenset(outline.properties), bool(outline.additional)
    for alternative, _ in types.alternatives(view):
        more, is_freer = _names(types, alternative)
        names, is_free = names | more, is_free or is_freer
    return names, is_free or not names


def _clearable(parameter: Parameter, kind: str | None) -> Parameter:
    """Let the empty text stand for an empty string, array or object, or None; it then conforms."""
    read, check = parameter.read, parameter.check
    cleared, empty = ("", [(parameter.name, "")]), EMPTY.get(kind, lambda: None)
    parameter.read = lambda source, decode: empty() if source in cleared else read(source, decode)
    parameter.check = lambda value: [] if value in (None, "", [], {}) else check(value)
    return parameter


def _parsed_reader(convert: Convert) -> Read:
    return lambda value, _decode: convert(value)


def _read_json(text: Any, decode: Decode) -> Any:
    try:
        return orjson.loads(decode(text))
    except orjson.JSONDecodeError as error:
        msg = f"must be JSON: {error}"
        raise Malformed(msg) from None


class Query:
    """The query parameters of one operation."""

    __slots__ = (
        "_deep",
        "_free",
        "_known",
        "_owners",
        "_parameters",
        "_parser",
        "_required",
        "_single",
        "_strict",
    )

    def __init__(self, *, strict: bool, known: frozenset[str], parser: Any) -> None:
        """Begin without parameters; known names are no parameters and no errors."""
        self._strict, self._known, self._parser = strict, known, parser
        self._parameters: list[Parameter] = []
        self._required: list[Parameter] = []
        self._single: dict[str, Parameter] = {}
        self._deep: dict[str, Parameter] = {}
        self._owners: dict[str, Parameter] = {}
        self._free: Parameter | None = None

    def __bool__(self) -> bool:
        """Return whether an empty query is an error."""
        return bool(self._required)

    def add(self, parameter: Parameter, pointer: str) -> None:
        """Note the names that belong to the parameter; each belongs to one."""
        names = parameter.names if isinstance(parameter, ExplodedObject) else {parameter.name}
        if taken := names & self._owners.keys():
            _refuse(pointer, f"{min(taken)} in the query belongs to another parameter too", "rename one of them")
        self._parameters.append(parameter)
        if parameter.required:
            self._required.append(parameter)
        if isinstance(parameter, DeepObject):
            self._deep[parameter.name] = parameter
            return
        self._owners |= dict.fromkeys(names, parameter)
        if not parameter.spreads:
            self._single[parameter.name] = parameter
        if isinstance(parameter, ExplodedObject) and parameter.is_free:
            if self._free:
                _refuse(pointer, "two objects take every unknown name in the query", "use style deepObject")
            self._free = parameter

    def take(self, query: bytes, found: dict[str, Any], errors: list[FieldError]) -> None:
        """Put the values among the found arguments; every error is added to the errors."""
        try:
            pairs, decode = _parse_query(query)
        except ValueError:
            errors.append(FieldError("", f"the query {NOT_ENCODED}"))
            return
        given = dict(pairs)
        if self._parser:
            self._take_parsed(pairs, decode, found, errors)
        elif len(given) == len(pairs) and given.keys() <= self._single.keys():
            for name, text in pairs:
                self._single[name].take(text, decode, found, errors)
        else:
            self._take_any(pairs, decode, found, errors)
        errors += [FieldError(each.name, REQUIRED) for each in self._required if each.argument not in found]

    def _take_any(self, pairs: Pairs, decode: Decode, found: dict[str, Any], errors: list[FieldError]) -> None:
        """Take unknown and repeated names too; where lenient, the last text counts, as in Connexion."""
        if self._strict:
            errors += self._name_errors(name for name, _ in pairs)
        for name, text in pairs if self._strict else dict(pairs).items():
            if single := self._single.get(name):
                single.take(text, decode, found, errors)
        spread: dict[Parameter, Pairs] = {}
        for name, text in pairs:
            if (owner := self._owner(name)) and owner.spreads:
                spread.setdefault(owner, []).append((name, text))
        for parameter, own in spread.items():
            parameter.take(own, decode, found, errors)

    def _owner(self, name: str) -> Parameter | None:
        if (owner := self._owners.get(name)) or name in self._known:
            return owner
        if self._deep and (deep := parse_deep(name)) and (owner := self._deep.get(deep[0])):
            return owner
        return self._free

    def _name_errors(self, names: Iterable[str]) -> Iterator[FieldError]:
        for name, times in Counter(names).items():
            owner = self._owner(name)
            if owner is None:
                if name not in self._known:
                    yield FieldError(name, "is not a known parameter")
            elif times > 1 and not owner.repeats:
                yield FieldError(owner.label(name), REPEATED)

    def _take_parsed(self, pairs: Pairs, decode: Decode, found: dict[str, Any], errors: list[FieldError]) -> None:
        """Let the URI parser join, split and choose."""
        texts: dict[str, list[str]] = {}
        for name, text in pairs:
            if name.count("[") > DEEPEST:  # Connexion's parsers recurse as deep as the brackets say.
                errors.append(FieldError(name.partition("[")[0], TOO_DEEP))
                return
            texts.setdefault(name, []).append(decode(text))
        values = self._parser.resolve_query(texts)
        names = {parameter.name for parameter in self._parameters}
        if self._strict:
            unknown = [name for name in values if name not in names and name not in self._known]
            errors += [FieldError(name, "is not a known parameter") for name in unknown]
        for parameter in self._parameters:
            if parameter.name in values:
                parameter.take(values[parameter.name], str, found, errors)


class Parameters:
    """Parses and validates every parameter of one operation; it reports all errors, not only the first."""

    __slots__ = (
        "_cookies",
        "_defaults",
        "_headers",
        "_mutable",
        "_parser",
        "_path",
        "_query",
        "arguments",
        "path_names",
    )

    def __init__(  # noqa: PLR0913 -- one for each option of Connexion that concerns parameters
        self,
        definitions: Sequence[tuple[Definition, str]],
        *,
        schemas: Schemas,
        strict: bool,
        argument_name: Callable[[str], str],
        known_query: frozenset[str] = frozenset(),
        uri_parser_class: Any = None,
    ) -> None:
        """Compile the definitions, each with its JSON pointer.

        Raises:
            DocumentError: a definition contradicts itself or another one, or OpenAPI does not define it.
        """
        definitions = [each for each in definitions if not _is_ignored(each[0])]
        self._parser = _make_parser(uri_parser_class, definitions, schemas)
        self._query = Query(strict=strict, known=known_query, parser=self._parser)
        self._path: list[Parameter] = []
        self._headers: list[tuple[bytes, Parameter, Decode]] = []
        self._cookies: list[Parameter] = []
        self._defaults: dict[str, Any] = {}
        self._mutable: dict[str, Any] = {}
        self.arguments: frozenset[str] = frozenset()
        compiler = Compiler(schemas, strict=strict, parsed=self._parser is not None)
        for definition, pointer in definitions:
            argument = self._claim_argument(definition, pointer, argument_name)
            parameter = compiler.compile(definition, pointer, argument)
            self._add(parameter, definition["in"], pointer)
            self._add_default(parameter)
        self.path_names = frozenset(parameter.name for parameter in self._path)

    def parse(self, scope: Scope) -> dict[str, Any]:
        """Return query, header and cookie values by argument name, with defaults; raise InvalidParameter."""
        found = self._defaults.copy()
        if self._mutable:
            found |= fresh(self._mutable)
        query: bytes = scope["query_string"]
        errors: list[FieldError] = []
        if query or self._query:
            self._query.take(query, found, errors)
        if self._headers:
            self._take_headers(scope["headers"], found, errors)
        if self._cookies:
            self._take_cookies(scope["headers"], found, errors)
        if errors:
            raise InvalidParameter(errors)
        return found

    def parse_path(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """Return the path's values by argument name, from encoded texts; raise InvalidPathParameter."""
        found: dict[str, Any] = {}
        errors: list[FieldError] = []
        sources, decode = (texts, _decode) if self._parser is None else (self._parse_texts(texts, errors), str)
        for parameter in self._path:
            if parameter.name in sources:
                parameter.take(sources[parameter.name], decode, found, errors)
        if errors:
            raise InvalidPathParameter(errors)
        return found

    def _parse_texts(self, texts: Mapping[str, str], errors: list[FieldError]) -> dict[str, Any]:
        decoded: dict[str, str] = {}
        for name, text in texts.items():
            try:
                decoded[name] = _decode(text)
            except Malformed as error:
                errors.append(FieldError(name, error.message))
        values: dict[str, Any] = self._parser.resolve_path(decoded)
        return values

    def _take_headers(self, headers: Lines, found: dict[str, Any], errors: list[FieldError]) -> None:
        for key, parameter, decode in self._headers:
            if lines := [value.strip(b" \t").decode("latin-1") for name, value in headers if name == key]:
                parameter.take(", ".join(lines), decode, found, errors)
            elif parameter.required:
                errors.append(FieldError(parameter.name, REQUIRED))

    def _take_cookies(self, headers: Lines, found: dict[str, Any], errors: list[FieldError]) -> None:
        cookies = cookie_parser("; ".join(value.decode("latin-1") for name, value in headers if name == b"cookie"))
        for parameter in self._cookies:
            if (text := cookies.get(parameter.name)) is not None:
                parameter.take(text, _decode, found, errors)
            elif parameter.required:
                errors.append(FieldError(parameter.name, REQUIRED))

    def _claim_argument(self, definition: Definition, pointer: str, argument_name: Callable[[str], str]) -> str:
        name: str = definition["name"]
        argument = argument_name(name.lower().replace("-", "_") if definition["in"] == "header" else name)
        if not argument:
            _refuse(f"{pointer}/name", f"{name} leaves no name for the handler's argument", "rename it")
        if argument in self.arguments:
            _refuse(f"{pointer}/name", f"two parameters are the handler's argument {argument}", "rename one")
        self.arguments |= {argument}
        return argument

    def _add(self, parameter: Parameter, location: str, pointer: str) -> None:
        if location == "path":
            self._path.append(parameter)
        elif location == "query":
            self._query.add(parameter, pointer)
        elif location == "cookie":
            self._cookies.append(parameter)
        else:
            decode = _trim if parameter.is_nested else str
            self._headers.append((parameter.name.lower().encode(), parameter, decode))

    def _add_default(self, parameter: Parameter) -> None:
        if parameter.default is NOTHING:
            return
        is_mutable = isinstance(parameter.default, (list, dict))
        (self._mutable if is_mutable else self._defaults)[parameter.argument] = parameter.default


def fresh(value: Any) -> Any:
    """Return a copy of a JSON value that shares no list and no dict with it."""
    if type(value) is dict:
        return {name: fresh(part) for name, part in value.items()}
    return [fresh(part) for part in value] if type(value) is list else value


def _is_ignored(definition: Definition) -> bool:
    return definition["in"] == "header" and definition["name"].lower() in IGNORED


def _make_parser(parser_class: Any, definitions: Sequence[tuple[Definition, str]], schemas: Schemas) -> Any:
    """Return an instance of Connexion's kind of URI parser, if there is a class of it.

    The parsers for Swagger 2.0 read `type` and `items` in the definition, those for OpenAPI in its schema.
    Neither follows references, so they get no `properties`: the values in an object are typed here.
    """
    if parser_class is None:
        return None
    known = []
    for definition, _ in definitions:
        outline = Types(schemas, "").outline(View((definition.get("schema", ANYTHING),)))
        items = {"type": "string", **schemas.resolve(outline.items[0] if outline.items else ANYTHING)}
        schema = {
            **schemas.resolve(definition.get("schema", ANYTHING)),
            "type": outline.type or "string",
            "items": items,
        }
        schema.pop("properties", None)
        known.append({"type": schema["type"], "items": items, **definition, "schema": schema})
    return parser_class(known, {})


def _parse_query(query: bytes) -> tuple[Pairs, Decode]:
    """Return names and raw texts, and what decodes the texts; raise ValueError if that would fail."""
    text = query.decode("ascii")
    decode: Decode = str
    if "%" in text or "+" in text:
        _decode(text)
        decode = unquote_plus
    pairs = [piece.partition("=") for piece in text.split("&") if piece]
    return [(decode(name), value) for name, _, value in pairs], decode


def _decode(text: str) -> str:
    """Decode a percent-encoded text; raise Malformed where an escape is broken or the text is not UTF-8."""
    if "%" not in text:
        return text
    if BROKEN_ESCAPE.search(text):
        raise Malformed(NOT_ENCODED)
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise Malformed(NOT_ENCODED) from None


def _trim(text: str) -> str:
    """Return an item of a header without the optional whitespace around it (RFC 9110, 5.6.1)."""
    return text.strip(" \t")
