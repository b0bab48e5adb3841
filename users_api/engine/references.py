"""References in the document: local ones are checked, and those to other files are made local."""

import logging
import os
import re
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn
from urllib.parse import unquote, urljoin, urlsplit

from users_api.engine.document_schema import Place, check, children
from users_api.engine.failures import DocumentError
from users_api.engine.yaml_source import child_pointer, is_url, parse, read

logger = logging.getLogger(__name__)
BUNDLED: Final = "x-bundled"
UNREPORTED_SIBLINGS: Final = frozenset({"$ref", "summary", "description", "title", "example", "externalDocs"})
SCHEMA_FILE: Final = re.compile(r"[/#]|\.(?:ya?ml|json)\Z")


class Reference(NamedTuple):
    """A reference that is not yet resolved: `holder[key]` is its text; `location` is that of its file."""

    holder: dict[str, Any]
    key: str
    kind: str
    pointer: str
    location: str | None

    @property
    def text(self) -> str:
        """The reference as written in the document."""
        text: str = self.holder[self.key]
        return text

    def raise_error(self, problem: str, instead: str = "") -> NoReturn:
        """Raise the error that names both ends.

        Raises:
            DocumentError: always.
        """
        raise DocumentError(self.pointer, f"{self.text} {problem}", instead)


def resolve_pointer(root: Any, pointer: str) -> Any:
    """Return the value at a pointer.

    Raises:
        LookupError: there is no value.
    """
    node = root
    for segment in pointer.split("/")[1:]:
        name = segment.replace("~1", "/").replace("~0", "~")
        if isinstance(node, list) and name.isdecimal():
            node = node[int(name)]
        elif isinstance(node, dict):
            node = node[name]
        else:
            raise LookupError(name)
    return node


def canonical_pointer(fragment: str) -> str:
    """Return a URI fragment's pointer (RFC 6901, 6) in canonical form: `#` and the unescaped pointer."""
    return f"#{unquote(fragment)}"


def _warn_about_siblings(reference: Place) -> None:
    """Log what stands beside `$ref`, except annotations: OpenAPI 3.0 ignores it (Reference Object)."""
    siblings = [
        name for name in reference.node if name not in UNREPORTED_SIBLINGS and not name.startswith("x-")
    ]
    if siblings:
        instead = "; to apply both, move the reference into allOf" if reference.kind == "Schema" else ""
        logger.warning(
            "%s: OpenAPI 3.0 ignores what stands beside $ref: %s%s",
            reference.pointer,
            ", ".join(siblings),
            instead,
        )


class Bundle:
    """All files of a document, bundled into its root: the others are in `x-bundled`, by their paths."""

    def __init__(self, root: dict[str, Any], location: str | None) -> None:
        """Start with the root and its location, an absolute path or a URL; a dict has none."""
        self._root = root
        self._location = location
        self._prefixes: dict[str | None, str] = {location: "#"}
        self._kinds: dict[str, str] = {}
        self._targets: dict[str, str] = {}
        self._pending: deque[Reference] = deque()

    def complete(self) -> None:
        """Follow every reference and make it local.

        Raises:
            DocumentError: a reference has no target, or leads to itself or to an object of another kind.
        """
        self._visit(Place(self._root, "Document", "#"), self._location)
        while self._pending:
            self._resolve(self._pending.popleft())

    def _visit(self, place: Place, location: str | None) -> None:
        node, kind, pointer = place
        if pointer in self._kinds or not isinstance(node, dict):
            return
        self._kinds[pointer] = kind
        if isinstance(node.get("$ref"), str):
            _warn_about_siblings(place)
            self._pending.append(Reference(node, "$ref", kind, pointer, location))
        elif kind == "Discriminator":
            self._visit_mapping(node.get("mapping", {}), pointer, location)
        else:
            for child in children(place):
                self._visit(child, location)

    def _visit_mapping(self, mapping: dict[str, Any], pointer: str, location: str | None) -> None:
        named = self._root.get("components", {}).get("schemas", {})
        for key, text in mapping.items():
            if text not in named:
                reference = Reference(
                    mapping, key, "Schema", child_pointer(f"{pointer}/mapping", key), location
                )
                if not SCHEMA_FILE.search(text):
                    reference.raise_error("is neither a schema in components.schemas nor a reference")
                self._pending.append(reference)

    def _resolve(self, reference: Reference) -> None:
        file, _, fragment = reference.text.partition("#")
        location = self._locate(reference, file) if file else reference.location
        if location not in self._prefixes:
            self._prefixes[location] = self._load(reference, str(location))
        prefix = self._prefixes[location]
        pointer = prefix + canonical_pointer(fragment)[1:]
        try:
            node = resolve_pointer(self._root, pointer)
        except LookupError:
            reference.raise_error("points nowhere")
        self._require(reference, Place(node, reference.kind, pointer), location)
        reference.holder[reference.key] = prefix + fragment

    def _require(self, reference: Reference, target: Place, location: str | None) -> None:
        """Reject a target of another kind, and circular chains of references."""
        known = self._kinds.get(target.pointer)
        if known is None:
            check(target)
            self._visit(target, location)
        elif known != target.kind:
            reference.raise_error(f"is a {known}, where a {target.kind} belongs")
        if reference.key == "$ref":
            self._targets[reference.pointer] = at = target.pointer
            while at in self._targets:
                if at == reference.pointer:
                    reference.raise_error("leads back to itself")
                at = self._targets[at]

    def _locate(self, reference: Reference, file: str) -> str:
        if is_url(file):
            return file
        if reference.location is None:
            reference.raise_error("is relative, but the document is not from a file", "load it by its path")
        if is_url(reference.location):
            return urljoin(reference.location, file)
        return os.path.normpath(Path(reference.location).parent / unquote(file))

    def _load(self, reference: Reference, location: str) -> str:
        try:
            content = parse(read(location), location)
        except OSError as error:
            reference.raise_error(f"cannot be read: {' '.join(str(error).split())}")
        bundled: dict[str, Any] = self._root.setdefault(BUNDLED, {})
        name = self._name(location, bundled)
        bundled[name] = content
        return f"#/{BUNDLED}/{name}"

    def _name(self, location: str, taken: Mapping[str, Any]) -> str:
        if is_url(location):
            text = "".join(urlsplit(location)[1:3])
        else:
            text = os.path.relpath(location, Path(str(self._location)).parent)
        name = unique = re.sub(r"[^A-Za-z0-9._-]+", "_", text).lstrip("._")
        number = 1
        while unique in taken:
            number += 1
            unique = f"{name}-{number}"
        return unique
