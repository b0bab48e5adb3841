"""Reads documents from files and URLs as YAML 1.2, which includes JSON."""

import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import jinja2
import requests
import yaml

from users_api.engine.failures import DocumentError

TIMEOUT_SECONDS: Final = 30
TAG: Final = "tag:yaml.org,2002:"


class Loader(yaml.CSafeLoader):
    """Resolves scalars by the core schema of YAML 1.2; of YAML 1.1 only merge keys are supported."""


class Dumper(yaml.CSafeDumper):
    """Quotes strings that a YAML 1.1 or YAML 1.2 parser would read as another type."""


Loader.yaml_implicit_resolvers = {}
for _kind, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("merge", r"<<", "<"),
):
    for _class in (Loader, Dumper):
        _class.add_implicit_resolver(TAG + _kind, re.compile(f"(?:{_pattern})\\Z"), list(_first))


def is_url(location: str) -> bool:
    """Return whether a location is a URL rather than a path."""
    return location.startswith(("http://", "https://"))


def read(location: str) -> bytes:
    """Return the content of a file or URL.

    Raises:
        OSError: it cannot be read; the exceptions of Requests are subclasses.
    """
    if not is_url(location):
        return Path(location).read_bytes()
    response = requests.get(location, timeout=TIMEOUT_SECONDS)
    response.raise_for_status()
    content: bytes = response.content
    return content


def render(text: bytes, name: str, arguments: Mapping[str, Any]) -> bytes:
    """Render a Jinja2 template with the arguments.

    Raises:
        DocumentError: the template is malformed.
    """
    try:
        rendered: str = jinja2.Template(text.decode()).render(**arguments)
    except jinja2.TemplateSyntaxError as error:
        place = f"{name}:{error.lineno}"
        raise DocumentError(place, f"{error.message} (Jinja2)") from error
    except (jinja2.TemplateError, UnicodeDecodeError) as error:
        raise DocumentError(name, _line(error)) from error
    return rendered.encode()


def parse(text: bytes, name: str) -> Any:
    """Return the JSON value of a YAML text; every key must be a string.

    Raises:
        DocumentError: a syntax error, a repeated key, or a value that JSON cannot express, with its line.
    """
    try:
        node = yaml.compose(text, Loader=Loader)
    except yaml.MarkedYAMLError as error:
        place = f"{name}:{error.problem_mark.line + 1}" if error.problem_mark else name
        raise DocumentError(place, _line(error.problem)) from error
    except yaml.YAMLError as error:
        raise DocumentError(name, _line(error)) from error
    return None if node is None else _NodeConverter(name).value(node)


def dump(value: Any) -> bytes:
    """Return a JSON value as YAML text."""
    text: bytes = yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, encoding="utf-8")
    return text


def plain(value: Any, pointer: str = "#") -> Any:
    """Return a deep copy with JSON values only: dates become strings, as Connexion writes them.

    Raises:
        DocumentError: JSON has no such value.
    """
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(child, child_pointer(pointer, str(key))) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [plain(child, f"{pointer}/{at}") for at, child in enumerate(value)]
    if isinstance(value, datetime) and value.tzinfo is None:
        return f"{value.isoformat()}Z"
    if isinstance(value, date):
        return value.isoformat()
    raise DocumentError(pointer, f"{value!r} is not a JSON value")


def child_pointer(pointer: str, name: str) -> str:
    """Return the JSON pointer of a member of the object at another pointer (RFC 6901, 3)."""
    return f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"


def _line(problem: object) -> str:
    return " ".join(str(problem).split())


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(text)
    return number


def _int(text: str) -> int:
    return int(text, 0) if text[:2] in {"0x", "0o"} else int(text)


SCALARS: Final[Mapping[str, Callable[[str], Any]]] = {
    TAG + "str": str,
    TAG + "int": _int,
    TAG + "float": _float,
    TAG + "bool": {"true": True, "false": False}.__getitem__,
    TAG + "null": lambda _text: None,
    TAG + "merge": str,
}


class _NodeConverter:
    """Converts YAML nodes to JSON values; an alias yields a copy, so that nothing is shared."""

    def __init__(self, name: str) -> None:
        self.name = name

    def value(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if isinstance(node, yaml.MappingNode) and node.tag == TAG + "map":
            return self._mapping(node)
        if isinstance(node, yaml.SequenceNode) and node.tag == TAG + "seq":
            return [self.value(child) for child in node.value]
        raise self._error(node, f"the tag {node.tag} has no equivalent in JSON")

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        if node.tag == TAG + "str":
            return node.value
        try:
            return SCALARS[node.tag](node.value.lower() if node.tag == TAG + "bool" else node.value)
        except (KeyError, ValueError) as error:
            raise self._error(node, f"{node.value!r} with the tag {node.tag} is not a JSON value") from error

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, child in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._error(key, "a key must be a string; quote it")
            if key.tag == TAG + "merge":
                merged |= self._merged(child)
            elif key.value in own:
                raise self._error(key, f"the key {key.value!r} is repeated in one mapping")
            else:
                own[key.value] = self.value(child)
        return merged | own

    def _merged(self, node: yaml.Node) -> dict[str, Any]:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for source in reversed(sources):
            if not isinstance(source, yaml.MappingNode):
                raise self._error(source, "only a mapping can be merged")
            merged |= self._mapping(source)
        return merged

    def _error(self, node: yaml.Node, problem: str) -> DocumentError:
        return DocumentError(f"{self.name}:{node.start_mark.line + 1}", problem)
