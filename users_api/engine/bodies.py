"""The request bodies of one operation, selected by Content-Type."""

import re
from collections.abc import Callable, Container, Mapping, Sequence
from functools import partial
from typing import Any, Final

from connexion.uri_parsing import AbstractURIParser

from users_api.engine.failures import DocumentError, UnsupportedMediaType
from users_api.engine.media_types import MULTIPART, URLENCODED, compile_range, parse_media_type, specificity
from users_api.engine.payloads import (
    BODY_CLASSES,
    BinaryBody,
    Body,
    DocumentLike,
    Options,
    Payload,
    kind_of,
)
from users_api.engine.schemas import Schemas
from users_api.engine.yaml_source import child_pointer

__all__ = ["Bodies", "Payload"]

Headers = Sequence[tuple[bytes, bytes]]

REPRESENTATIVES: Final = ("application/json", URLENCODED, MULTIPART, "text/plain")  # One of each parsed kind.


class Bodies:
    """The bodies that one operation accepts, by their media types."""

    def __init__(  # noqa: PLR0913 -- each is a fact of its own, and all are named.
        self,
        request_body: Mapping[str, Any],
        pointer: str,
        *,
        document: DocumentLike,
        schemas: Schemas,
        strict: bool,
        uri_parser_class: type[AbstractURIParser] | None = None,
        validated_elsewhere: Container[str] = (),
    ) -> None:
        """Compile a body for each media type, and for each kind of body that a range covers.

        Raises:
            DocumentError: one of them cannot be parsed, or cannot be checked against its schema.
        """
        request_body, pointer = document.resolve(request_body, pointer)
        content = request_body["content"] or {"*/*": {}}
        self.required: bool = request_body.get("required", False)
        self.name: str = request_body.get("x-body-name", "body")
        self.media_types = list(content)
        self._strict = strict
        self._options = Options(
            document, schemas, strict, self.required, uri_parser_class, validated_elsewhere
        )
        self._exact: dict[str, Body] = {}
        self._ranges: list[tuple[re.Pattern[str], dict[str, Body]]] = []
        bodies = {
            name: self._compile(name, content[name], child_pointer(f"{pointer}/content", name))
            for name in sorted(content, key=specificity, reverse=True)
        }
        self._first = bodies[self.media_types[0]]
        self._plain = {name.encode(): body for name, body in self._exact.items()}

    def parse(self, scope_headers: Headers, body: bytes) -> Payload:
        """Return the parsed body.

        Raises:
            UnsupportedMediaType: the document does not list its media type, charset or content coding.
            InvalidPayload: it is malformed, or does not conform to the schema.
        """
        return self.select(scope_headers, body)(body)

    def select(self, scope_headers: Headers, body: bytes) -> Callable[[bytes], Payload]:
        """Return the parser of the body; without a Content-Type, that of the first media type.

        Raises:
            UnsupportedMediaType: as above.
        """
        content_type, is_coded = None, False
        for name, value in scope_headers:
            if name == b"content-type":
                if content_type is not None:
                    raise UnsupportedMediaType(detail="There must be one Content-Type header")
                content_type = value
            elif name == b"content-encoding" and value:
                is_coded = True
        if content_type is None and not body:
            return self._first.read_missing
        if is_coded:
            raise UnsupportedMediaType(detail="There must be no Content-Encoding")
        if (plain := self._plain.get(content_type or b"")) is not None:
            return plain.read if body else plain.read_missing
        if content_type is None and not self._strict:
            return self._first.read
        return self._find(content_type, body)

    def _find(self, content_type: bytes | None, body: bytes) -> Callable[[bytes], Payload]:
        """Return the parser for a media type that has parameters or that a range covers."""
        text = None if content_type is None else content_type.decode("latin-1")
        parsed = parse_media_type(text or "")
        if parsed is not None and (found := self._exact.get(parsed[0]) or self._find_range(parsed[0])):
            found.check(parsed[1])
            return partial(found.read, parameters=parsed[1]) if body else found.read_missing
        named = text if parsed is None else parsed[0]
        raise UnsupportedMediaType(detail=f"Invalid Content-type ({named}), expected {self.media_types}")

    def _find_range(self, name: str) -> Body | None:
        kind = kind_of(name)
        return next((bodies.get(kind) for pattern, bodies in self._ranges if pattern.fullmatch(name)), None)

    def _compile(self, name: str, media: Mapping[str, Any], pointer: str) -> Body:
        """Return the body of a media type, or the most general one of a range."""
        parsed = parse_media_type(name)
        if parsed is None or parsed[1].keys() - {"charset"} or parsed[0] in self._exact:
            raise DocumentError(
                pointer, f"{name} duplicates another media type", "write it once, without parameters"
            )
        lowered, parameters = parsed
        if "*" in lowered:
            return self._compile_range(lowered, media, pointer)
        kind = kind_of(lowered)
        if kind == "text" and self._is_binary(media):
            kind = "binary"
        self._exact[lowered] = body = BODY_CLASSES[kind](media, pointer, lowered, self._options)
        body.check(parameters)
        return body

    def _compile_range(self, name: str, media: Mapping[str, Any], pointer: str) -> Body:
        """Keep a body of each kind that the range covers and the schema allows; binary is never parsed."""
        pattern = compile_range(name)
        bodies: dict[str, Body] = {}
        self._ranges.append((pattern, bodies))
        if self._is_binary(media):
            body = BinaryBody(media, pointer, name, self._options)
            bodies.update(dict.fromkeys(BODY_CLASSES, body))
            return body
        for example in filter(pattern.fullmatch, (name.replace("*", "x"), *REPRESENTATIVES)):
            kind = kind_of(example)
            try:
                bodies.setdefault(kind, BODY_CLASSES[kind](media, pointer, example, self._options))
            except DocumentError as error:
                problem = error
        if not bodies:
            raise problem
        return next(iter(bodies.values()))

    def _is_binary(self, media: Mapping[str, Any]) -> bool:
        return bool(self._options.schemas.resolve(media.get("schema", {})).get("format") == "binary")
