"""The parameters of one operation in query, path, headers and cookies, compiled once from the document.

Stock Connexion builds a validator for each request, stops at the first error and converts no header.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from starlette.types import Scope

from users_api.engine.cookies import parse_cookies
from users_api.engine.failures import FieldError, InvalidParameter, InvalidPathParameter
from users_api.engine.messages import MAX_ERRORS
from users_api.engine.parameter_compiler import ParameterCompiler, refuse
from users_api.engine.parameter_readers import MISSING, Definition, Lines, Parameter, percent_decode
from users_api.engine.query import REQUIRED, Query
from users_api.engine.schemas import Schemas
from users_api.engine.styles import (
    ANYTHING,
    Decode,
    Malformed,
    SchemaConjunction,
    Types,
)

# OpenAPI 3.0.3, Parameter Object, `name`.
IGNORED_HEADERS: Final = {
    "accept",
    "content-type",
    "authorization",
}


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
            DocumentError: a definition contradicts itself or another one, or OpenAPI leaves it undefined.
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
        compiler = ParameterCompiler(schemas, strict=strict, parsed=self._parser is not None)
        for definition, pointer in definitions:
            argument = self._claim_argument(definition, pointer, argument_name)
            parameter = compiler.compile(definition, pointer, argument)
            self._add(parameter, definition["in"], pointer)
            self._add_default(parameter)
        self.path_names = frozenset(parameter.name for parameter in self._path)

    def __bool__(self) -> bool:
        """Return whether the operation has parameters."""
        return bool(self.arguments)

    def parse(self, scope: Scope) -> dict[str, Any]:
        """Return query, header and cookie values by argument name, with defaults; raise InvalidParameter."""
        found = self._defaults.copy()
        if self._mutable:
            found |= deep_copy(self._mutable)
        query: bytes = scope["query_string"]
        errors: list[FieldError] = []
        if query or self._query:
            self._query.parse_into(query, found, errors)
        if self._headers:
            self._take_headers(scope["headers"], found, errors)
        if self._cookies:
            self._take_cookies(scope["headers"], found, errors)
        if errors:
            raise InvalidParameter(errors[:MAX_ERRORS])
        return found

    def parse_path(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """Return the path's values by argument name, from encoded texts; raise InvalidPathParameter."""
        found: dict[str, Any] = {}
        errors: list[FieldError] = []
        sources, decode = (
            (texts, percent_decode) if self._parser is None else (self._parse_texts(texts, errors), str)
        )
        for parameter in self._path:
            if parameter.name in sources:
                parameter.parse_into(sources[parameter.name], decode, found, errors)
        if errors:
            raise InvalidPathParameter(errors)
        return found

    def _parse_texts(self, texts: Mapping[str, str], errors: list[FieldError]) -> dict[str, Any]:
        decoded: dict[str, str] = {}
        for name, text in texts.items():
            try:
                decoded[name] = percent_decode(text)
            except Malformed as error:
                errors.append(FieldError(name, error.message))
        values: dict[str, Any] = self._parser.resolve_path(decoded)
        return values

    def _take_headers(self, headers: Lines, found: dict[str, Any], errors: list[FieldError]) -> None:
        for key, parameter, decode in self._headers:
            if lines := [value.strip(b" \t").decode("latin-1") for name, value in headers if name == key]:
                parameter.parse_into(", ".join(lines), decode, found, errors)
            elif parameter.required:
                errors.append(FieldError(parameter.name, REQUIRED))

    def _take_cookies(self, headers: Lines, found: dict[str, Any], errors: list[FieldError]) -> None:
        cookies = parse_cookies(
            "; ".join(value.decode("latin-1") for name, value in headers if name == b"cookie")
        )
        for parameter in self._cookies:
            if (text := cookies.get(parameter.name)) is not None:
                parameter.parse_into(text, percent_decode, found, errors)
            elif parameter.required:
                errors.append(FieldError(parameter.name, REQUIRED))

    def _claim_argument(
        self, definition: Definition, pointer: str, argument_name: Callable[[str], str]
    ) -> str:
        name: str = definition["name"]
        spelled = name.replace("-", "_") if definition["in"] in ("header", "path") else name
        if definition["in"] == "header":
            spelled = spelled.lower()
        argument = argument_name(spelled)
        if not argument:
            refuse(f"{pointer}/name", f"{name} leaves no name for the handler's argument", "rename it")
        if argument in self.arguments:
            refuse(f"{pointer}/name", f"two parameters are the handler's argument {argument}", "rename one")
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
        if parameter.default is MISSING:
            return
        is_mutable = isinstance(parameter.default, (list, dict))
        (self._mutable if is_mutable else self._defaults)[parameter.argument] = parameter.default


def deep_copy(value: Any) -> Any:
    """Return a deep copy of a JSON value."""
    if type(value) is dict:
        return {name: deep_copy(part) for name, part in value.items()}
    return [deep_copy(part) for part in value] if type(value) is list else value


def _is_ignored(definition: Definition) -> bool:
    return definition["in"] == "header" and definition["name"].lower() in IGNORED_HEADERS


def _make_parser(parser_class: Any, definitions: Sequence[tuple[Definition, str]], schemas: Schemas) -> Any:
    """Return an instance of a URI parser class like Connexion's, or None without a class.

    The parsers for Swagger 2.0 read `type` and `items` in the definition, those for OpenAPI in its schema.
    Neither follows references, so they get no `properties`: this module converts the values in an object.
    """
    if parser_class is None:
        return None
    known = []
    for definition, _ in definitions:
        outline = Types(schemas, "").outline(SchemaConjunction((definition.get("schema", ANYTHING),)))
        items = {"type": "string", **schemas.resolve(outline.items[0] if outline.items else ANYTHING)}
        schema = {
            **schemas.resolve(definition.get("schema", ANYTHING)),
            "type": outline.type or "string",
            "items": items,
        }
        schema.pop("properties", None)
        known.append({"type": schema["type"], "items": items, **definition, "schema": schema})
    return parser_class(known, {})


def _trim(text: str) -> str:
    """Return an item of a header without the optional whitespace around it (RFC 9110, 5.6.1)."""
    return text.strip(" \t")
