"""One field of a form: how its parts become a value of its schema, or files (OpenAPI's Encoding Object)."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from io import BytesIO
from typing import Any, Final, NamedTuple

from werkzeug.datastructures import FileStorage, Headers

from users_api.engine.failures import DocumentError, FieldError
from users_api.engine.json_text import (
    DUPLICATE_MESSAGE,
    InvalidJsonError,
    duplicate_name_errors,
    has_more_items,
    parse_json,
    too_many_items,
)
from users_api.engine.media_types import ASCII, UTF8, is_json, parse_media_type
from users_api.engine.schemas import Direction, Schemas
from users_api.engine.styles import SchemaConjunction, Types
from users_api.engine.yaml_source import child_pointer

SchemaNodes = tuple[Mapping[str, Any], ...]
Resolve = Callable[[Mapping[str, Any], str], tuple[Mapping[str, Any], str]]

NOT_A_FILE: Final = "must not be a file"
NOT_UTF8: Final = "must be text in UTF-8"
FILE_FORMATS: Final = frozenset({"binary", "base64"})  # Connexion treats both as files.
DELIMITERS: Final = {"form": ",", "spaceDelimited": " ", "pipeDelimited": "|"}
LENGTH_KEYWORDS: Final = frozenset(
    {"minLength", "maxLength", "pattern", "enum", "allOf", "anyOf", "oneOf", "not"}
)


class MalformedFieldError(ValueError):
    """A form or one of its fields is malformed; `path` leads from the field to the malformed part."""

    def __init__(self, message: str, path: str = "") -> None:
        """Keep both."""
        self.message, self.path = message, path
        super().__init__(message)


class Part(NamedTuple):
    """One value as it was sent: a part of a multipart body, or the text of a URL-encoded one."""

    content: bytes | str
    filename: str | None
    headers: Headers


class FormValues(NamedTuple):
    """A form: the values of its fields, its files, and the strings that represent files during validation."""

    values: dict[str, Any]
    files: dict[str, Any]
    texts: dict[str, Any]


class PartHeader(NamedTuple):
    """A header that the document describes for the parts of a field."""

    name: str
    required: bool
    convert: Callable[[Any], Any]
    errors: Callable[[Any], list[FieldError]]

    def check(self, part: Part) -> None:
        """Raise RejectedError unless the part has a valid header of this name."""
        text = part.headers.get(self.name)
        if text is None:
            if self.required:
                message = f"must have the header {self.name}"
                raise MalformedFieldError(message)
        elif errors := self.errors(self.convert(text)):
            message = f"has a header {self.name} that {errors[0].message}"
            raise MalformedFieldError(message)


class FormField(ABC):
    """A field of a form; the checks that all kinds share: media type, headers, number of parts."""

    def __init__(
        self,
        *,
        many: bool,
        strict: bool,
        most_items: int,
        content_type: str,
        headers: Sequence[PartHeader],
    ) -> None:
        """Store the field's encoding; `many` is whether its schema is an array."""
        self._many, self._strict, self._most_items = many, strict, most_items
        self._content_type = content_type
        self._ranges = [each.strip().lower() for each in content_type.split(",") if each]
        self._headers = headers

    def check(self, part: Part) -> None:
        """Raise RejectedError unless the part is encoded as documented or has no Content-Type."""
        sent = part.headers.get("content-type")
        if self._ranges and sent is not None:
            media_type = parse_media_type(sent)
            if media_type is None or not any(fnmatchcase(media_type[0], each) for each in self._ranges):
                message = f"must be of type {self._content_type}"
                raise MalformedFieldError(message)
        for header in self._headers:
            header.check(part)

    def _file(self, name: str, part: Part) -> FileStorage:
        self.check(part)
        return FileStorage(BytesIO(_bytes(part)), part.filename, name, headers=part.headers)

    @abstractmethod
    def add_to(self, name: str, parts: list[Part], form: FormValues) -> None:
        """Add the value of the parts to the form, or raise RejectedError."""


class FileField(FormField):
    """A file, or an array of files."""

    def __init__(self, *, measured: bool, **options: Any) -> None:
        """`measured` is whether the schema limits the contents, counted in octets."""
        super().__init__(**options)
        self._measured = measured

    def add_to(self, name: str, parts: list[Part], form: FormValues) -> None:
        """Add the files as Flask's FileStorage, with or without a file name."""
        if len(parts) > 1 and not self._many:
            raise MalformedFieldError(DUPLICATE_MESSAGE)
        files = [self._file(name, part) for part in parts]
        texts = [_bytes(part).decode("latin-1") if self._measured else "" for part in parts]
        form.files[name], form.texts[name] = (files, texts) if self._many else (files[0], texts[0])


class JsonField(FormField):
    """A value written as JSON; an array is one JSON array, or an item in each part."""

    def add_to(self, name: str, parts: list[Part], form: FormValues) -> None:
        """Add the value, or raise RejectedError if it is not JSON, repeats a name or is sent twice."""
        texts = [_bytes(part) for part in parts]
        if has_more_items(b",".join(texts), self._most_items):
            raise MalformedFieldError(too_many_items(self._most_items))
        values = [self._value(part) for part in parts]
        if not self._many and len(values) > 1:
            raise MalformedFieldError(DUPLICATE_MESSAGE)
        is_whole = not self._many or (len(values) == 1 and isinstance(values[0], list))
        form.values[name] = values[0] if is_whole else values

    def _value(self, part: Part) -> Any:
        self.check(part)
        text = _bytes(part)
        try:
            value = parse_json(text, self._most_items)
        except InvalidJsonError as error:
            raise MalformedFieldError(str(error)) from None
        if repeated := duplicate_name_errors(text, value):
            raise MalformedFieldError(repeated[0].message, repeated[0].field)
        return value


class TextField(FormField):
    """A value of a primitive type, or an array of them; a delimiter splits arrays sent as one text."""

    def __init__(
        self, convert: Callable[[Any], Any], delimiter: str | None, uri_parser: Any, **options: Any
    ) -> None:
        """Store the conversion of texts; the program's URI parser, if any, replaces the delimiter."""
        super().__init__(**options)
        self._convert, self._delimiter, self._uri_parser = convert, delimiter, uri_parser

    def add_to(self, name: str, parts: list[Part], form: FormValues) -> None:
        """Add the value, or raise RejectedError if a part is a file, not UTF-8 or, if strict, repeated."""
        texts = [self._text(part) for part in parts]
        if self._uri_parser is not None:
            form.values[name] = self._convert(self._uri_parser.resolve_form({name: texts})[name])
        else:
            form.values[name] = self._convert(self._split(texts))

    def _split(self, texts: list[str]) -> list[str] | str:
        if self._many and self._delimiter is None:
            return texts
        if len(texts) > 1 and self._strict:
            raise MalformedFieldError(DUPLICATE_MESSAGE)
        if self._many:
            items = texts[-1].split(self._delimiter)
            if len(items) > self._most_items:
                raise MalformedFieldError(too_many_items(self._most_items))
            return items
        return ",".join(texts)  # As Connexion joins repeated values.

    def _text(self, part: Part) -> str:
        self.check(part)
        if part.filename is not None:
            raise MalformedFieldError(NOT_A_FILE)
        return part.content if isinstance(part.content, str) else _decode(part.content, part.headers)


class AnyField(TextField):
    """A field that the schema does not describe: a text, or files."""

    def add_to(self, name: str, parts: list[Part], form: FormValues) -> None:
        """Add a file or a list of files if all parts have file names, otherwise the text."""
        if any(part.filename is None for part in parts):
            super().add_to(name, parts, form)
            return
        files = [self._file(name, part) for part in parts]
        form.files[name], form.texts[name] = (files, [""] * len(files)) if len(files) > 1 else (files[0], "")


class FieldCompiler:
    """Compiles the fields of one form."""

    def __init__(  # noqa: PLR0913 -- each is a fact of its own.
        self,
        schemas: Schemas,
        resolve: Resolve,
        pointer: str,
        *,
        strict: bool,
        multipart: bool,
        uri_parser: Any,
        most_items: int,
    ) -> None:
        """Store what the fields of the form have in common."""
        self._schemas, self._resolve, self._pointer = schemas, resolve, pointer
        self._strict, self._multipart, self._uri_parser = strict, multipart, uri_parser
        self._types = Types(schemas, f"{pointer}/schema", most_items=most_items)

    def compile(self, name: str, nodes: SchemaNodes, encoding: Mapping[str, Any]) -> FormField:
        """Return the field.

        Raises:
            DocumentError: it cannot be read as the document describes.
        """
        view = SchemaConjunction(nodes)
        pointer = child_pointer(f"{self._pointer}/encoding", name)
        outline = self._types.outline(view)
        many = self._types.shapes(view) == {"array"}
        items = SchemaConjunction(outline.items) if many else view
        options: dict[str, Any] = {
            "many": many,
            "strict": self._strict,
            "most_items": self._types.most_items,
            "content_type": encoding.get("contentType", ""),
            "headers": self._headers(encoding, pointer),
        }
        if self._multipart and self._is_file(items):
            return FileField(measured=self._is_measured(items), **options)
        if self._is_json(items, encoding, pointer):
            return JsonField(**options)
        kind = TextField if any(map(self._schemas.resolve, nodes)) else AnyField
        return kind(self._types.compile(view), _delimiter(encoding, pointer), self._uri_parser, **options)

    def _is_file(self, view: SchemaConjunction) -> bool:
        outline = self._types.outline(view)
        return outline.type == "string" and outline.format in FILE_FORMATS

    def _is_measured(self, view: SchemaConjunction) -> bool:
        return any(not LENGTH_KEYWORDS.isdisjoint(self._schemas.resolve(node)) for node in view.nodes)

    def _is_json(self, items: SchemaConjunction, encoding: Mapping[str, Any], pointer: str) -> bool:
        """Return whether the value, or each item of an array, is JSON: objects are by default."""
        primitive = self._types.shapes(items) == {"primitive"}
        if "contentType" in encoding:
            types = [each.strip().lower() for each in encoding["contentType"].split(",")]
            if all(is_json(each) for each in types):
                return True
            if not primitive:
                raise DocumentError(pointer, "only JSON is parsed", "write contentType: application/json")
        elif not primitive and {"style", "explode"} & encoding.keys():
            raise DocumentError(
                pointer, "objects in forms have no style", "write contentType: application/json"
            )
        return not primitive

    def _headers(self, encoding: Mapping[str, Any], pointer: str) -> list[PartHeader]:
        """Return the headers of the parts; only parts of multipart bodies have headers."""
        headers = encoding.get("headers", {}) if self._multipart else {}
        return [
            self._header(name, *self._resolve(header, child_pointer(f"{pointer}/headers", name)))
            for name, header in headers.items()
            if name.lower() != "content-type"
        ]

    def _header(self, name: str, header: Mapping[str, Any], pointer: str) -> PartHeader:
        schema = header.get("schema")
        if schema is None or self._types.shapes(SchemaConjunction((schema,))) != {"primitive"}:
            raise DocumentError(
                pointer, "headers of parts are primitive values", "write a schema of such a type"
            )
        compiled = self._schemas.compile(schema, f"{pointer}/schema", Direction.REQUEST)
        return PartHeader(
            name,
            header.get("required", False),
            self._types.compile(SchemaConjunction((schema,))),
            compiled.errors,
        )


def _delimiter(encoding: Mapping[str, Any], pointer: str) -> str | None:
    """Return the delimiter of an array in one text, or None if each item has its own text."""
    style = encoding.get("style", "form")
    if style not in DELIMITERS:
        raise DocumentError(
            pointer, f"style {style} is not supported in forms", "write contentType: application/json"
        )
    return None if encoding.get("explode", style == "form") else DELIMITERS[style]


def _bytes(part: Part) -> bytes:
    return part.content if isinstance(part.content, bytes) else part.content.encode()


def _decode(content: bytes, headers: Headers) -> str:
    """Return the text of a part, or raise RejectedError if it is not UTF-8."""
    media_type = parse_media_type(headers.get("content-type", "text/plain"))
    charset = media_type[1].get("charset", "utf-8").lower() if media_type else ""
    try:
        if charset in UTF8 | ASCII:
            return content.decode("ascii" if charset in ASCII else "utf-8")
    except UnicodeDecodeError:
        pass
    raise MalformedFieldError(NOT_UTF8)
