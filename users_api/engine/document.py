"""An OpenAPI 3.0 document, loaded and checked: paths, parameters, servers and security are consistent."""

import gc
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from users_api.engine import yaml_source
from users_api.engine.document_schema import METHODS, Place, check
from users_api.engine.failures import DocumentError
from users_api.engine.references import BUNDLED, Bundle, canonical_pointer, resolve_pointer
from users_api.engine.yaml_source import child_pointer

ROOT: Final = "#"
SERVERS: Final = "#/servers"
VERSION: Final = re.compile(r"3\.0\.\d")
PATH_PARAMETER_NAME: Final = re.compile(r"\{([^{}]+)\}")
COMPONENT_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


class OperationNode(NamedTuple):
    """One operation as written in the document; `parameters` are merged and resolved, each with its pointer.

    `security` is the operation's own requirement or else the document's, None if neither has one.
    """

    path: str
    method: str
    pointer: str
    operation: Mapping[str, Any]
    parameters: list[tuple[Mapping[str, Any], str]]
    security: list[Mapping[str, Any]] | None


class Document:
    """A document in which every reference is local and its target exists.

    `root` is the whole document. `source` is the text of its only file, None when `root` differs from it.
    """

    def __init__(
        self, root: dict[str, Any], *, source: bytes | None = None, location: str | None = None
    ) -> None:
        """Check the document, and bundle the files that it refers to; relative references need a location.

        Raises:
            DocumentError: it is not a consistent OpenAPI 3.0 document.
        """
        _check_version(root)
        _check_names(root)
        check(Place(root, "Document", ROOT))
        Bundle(root, location).complete()
        self.root = root
        self.source = None if BUNDLED in root else source
        self._base_path = _servers_path(root.get("servers", []), SERVERS)
        _check_security(root, root.get("security", []), "#/security")
        self._operations = list(self._compile())
        _check_operation_ids(self._operations)

    @classmethod
    def load(
        cls, specification: Path | str | Mapping[str, Any], *, arguments: Mapping[str, Any] | None = None
    ) -> "Document":
        """Load a dict, a path or a URL; with arguments a file is a Jinja2 template, as in Connexion.

        Raises:
            DocumentError: the document cannot be served as it is written.
            OSError: it cannot be read.
        """
        try:
            with _without_collections():
                if isinstance(specification, Mapping):
                    return cls(yaml_source.plain(specification))
                return cls._from_text(str(specification), arguments)
        except RecursionError as error:
            raise DocumentError(ROOT, "the document is nested too deeply, or contains itself") from error

    @classmethod
    def _from_text(cls, name: str, arguments: Mapping[str, Any] | None) -> "Document":
        location = name if yaml_source.is_url(name) else os.path.normpath(Path.cwd() / name)
        text = yaml_source.read(location)
        if arguments and not yaml_source.is_url(name):
            text = yaml_source.render(text, name, arguments)
        root = yaml_source.parse(text, name)
        if not isinstance(root, dict):
            raise DocumentError(name, "the document is not a mapping", "begin with openapi: 3.0.3")
        return cls(root, source=text, location=location)

    @property
    def base_path(self) -> str:
        """The path of the first server, without a trailing slash."""
        return self._base_path

    @base_path.setter
    def base_path(self, path: str) -> None:
        path = _canonical_base_path(path, SERVERS)
        if path != self._base_path:
            self.root = self.with_base_path(path)
            self.source = None
            self._base_path = path

    def with_base_path(self, path: str) -> dict[str, Any]:
        """Return the document for clients that reach the service below another base path."""
        return {**self.root, "servers": [{"url": path}]}

    def resolve(self, node: Mapping[str, Any], pointer: str) -> tuple[Mapping[str, Any], str]:
        """Return the object or, if it is a reference, its target, and the pointer."""
        while isinstance(text := node.get("$ref"), str):
            pointer = canonical_pointer(text[1:])
            node = resolve_pointer(self.root, pointer)
        return node, pointer

    def operations(self) -> Iterator[OperationNode]:
        """Yield all operations in the order of the document."""
        return iter(self._operations)

    def _compile(self) -> Iterator[OperationNode]:
        for path, reference in self.root["paths"].items():
            if path.startswith("x-"):
                continue
            pointer = child_pointer("#/paths", path)
            if "$ref" in reference and len(reference) > 1:
                instead = "move it to where the reference leads"
                raise DocumentError(pointer, "a path item with $ref must have no other fields", instead)
            item, pointer = self.resolve(reference, pointer)
            self._check_servers(item, pointer)
            for method in METHODS:
                if method in item:
                    yield self._operation(path, method, item, pointer)

    def _operation(self, path: str, method: str, item: Mapping[str, Any], pointer: str) -> OperationNode:
        operation, at = item[method], f"{pointer}/{method}"
        self._check_servers(operation, at)
        parameters = list((self._parameters(item, pointer) | self._parameters(operation, at)).values())
        _check_template(path, parameters, at)
        security = operation.get("security", self.root.get("security"))
        _check_security(self.root, operation.get("security", []), f"{at}/security")
        return OperationNode(path, method, at, operation, parameters, security)

    def _parameters(
        self, node: Mapping[str, Any], pointer: str
    ) -> dict[tuple[str, str], tuple[Mapping[str, Any], str]]:
        """Return the parameters by name and location; header names are case-insensitive."""
        found: dict[tuple[str, str], tuple[Mapping[str, Any], str]] = {}
        for at, reference in enumerate(node.get("parameters", [])):
            parameter, its_pointer = self.resolve(reference, f"{pointer}/parameters/{at}")
            name, place = parameter["name"], parameter["in"]
            key = (name.lower() if place == "header" else name), place
            if key in found:
                its_place = f"{pointer}/parameters/{at}"
                problem = f"the {place} parameter {name} is declared twice"
                raise DocumentError(its_place, problem, "remove one of them")
            found[key] = parameter, its_pointer
        return found

    def _check_servers(self, node: Mapping[str, Any], pointer: str) -> None:
        """Reject servers whose base path differs from the document's: a document has only one base path."""
        for at, server in enumerate(node.get("servers", [])):
            path = _servers_path([server], f"{pointer}/servers/{at}")
            if path != self._base_path:
                place = f"{pointer}/servers/{at}"
                raise DocumentError(
                    place,
                    f"the base path here is {path or '/'}, that of the document is {self._base_path or '/'}",
                    "remove servers here, and write the difference into the path",
                )


@contextmanager
def _without_collections() -> Iterator[None]:
    """Pause the garbage collector: it would take half of the loading time and find no garbage."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _check_version(root: Mapping[str, Any]) -> None:
    if "swagger" in root:
        instead = "convert the document with swagger2openapi"
        raise DocumentError(ROOT, "Swagger 2.0 is not supported", instead)
    version = root.get("openapi", "without a version")
    if not VERSION.match(str(version)):
        raise DocumentError(ROOT, f"OpenAPI {version} is not supported", 'write openapi: "3.0.3"')


def _check_names(root: Mapping[str, Any]) -> None:
    """Check rules for which the published schema has incomprehensible error messages, or which it lacks."""
    for path in _as_mapping(root.get("paths")):
        if not path.startswith(("/", "x-")):
            raise DocumentError(
                child_pointer("#/paths", path), "a path must begin with a slash", f"write /{path}"
            )
    for section, components in _as_mapping(root.get("components")).items():
        for name in _as_mapping(components):
            if not section.startswith("x-") and not COMPONENT_NAME.fullmatch(name):
                raise DocumentError(
                    child_pointer(f"#/components/{section}", name),
                    "the name of a component must consist of letters, digits, '.', '-' and '_'",
                )


def _as_mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _check_template(path: str, parameters: list[tuple[Mapping[str, Any], str]], pointer: str) -> None:
    """Require that the path template and the path parameters have the same names, each once."""
    names = PATH_PARAMETER_NAME.findall(path)
    if set(PATH_PARAMETER_NAME.sub("", path)) & {"{", "}"} or len(names) != len(set(names)):
        raise DocumentError(pointer, f"the path {path} has an unpaired brace or a repeated name")
    declared = {parameter["name"]: at for parameter, at in parameters if parameter["in"] == "path"}
    for name in names:
        if name not in declared:
            instead = f"add a parameter with name: {name}, in: path, required: true and a schema"
            raise DocumentError(pointer, f"no path parameter declares {{{name}}} of {path}", instead)
    for name, at in declared.items():
        if name not in names:
            instead = f"write {{{name}}} in the path or remove the parameter"
            raise DocumentError(at, f"the path {path} has no {{{name}}}", instead)


def _check_security(root: Mapping[str, Any], requirements: list[Mapping[str, Any]], pointer: str) -> None:
    schemes = root.get("components", {}).get("securitySchemes", {})
    for at, requirement in enumerate(requirements):
        for name in requirement:
            if name not in schemes:
                instead = "declare it in components.securitySchemes"
                place = f"{pointer}/{at}"
                raise DocumentError(place, f"no security scheme is named {name}", instead)


def _check_operation_ids(operations: list[OperationNode]) -> None:
    seen: dict[str, str] = {}
    for node in operations:
        name, place = node.operation.get("operationId"), f"{node.method} {node.path}"
        if name in seen:
            pointer = f"{node.pointer}/operationId"
            problem = f"{name} is the operationId of {seen[name]} and of {place}"
            raise DocumentError(pointer, problem, "rename one of them")
        if name is not None:
            seen[name] = place


def _servers_path(servers: list[Mapping[str, Any]], pointer: str) -> str:
    """Return the base path of the first server; variables have their defaults."""
    if not servers:
        return ""
    url, variables = servers[0]["url"], servers[0].get("variables", {})
    for name in PATH_PARAMETER_NAME.findall(url):
        if name not in variables:
            raise DocumentError(
                pointer, f"the server variable {name} has no default", "declare it in variables"
            )
        url = url.replace(f"{{{name}}}", variables[name]["default"])
    return _canonical_base_path(urlsplit(url).path, pointer)


def _canonical_base_path(path: str, pointer: str) -> str:
    path = path.rstrip("/")
    if path and not path.startswith("/"):
        raise DocumentError(pointer, f"the base path {path} is relative", f"write /{path}")
    return path
