"""Finds the operation for a path and method: one lookup in a table, or one walk down a tree of segments.

Connexion tries every route in turn; here the cost does not depend on the number of operations.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from math import inf
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from starlette.datastructures import URL
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.types import Scope

from users_api.engine.failures import DocumentError, PathNotFound
from users_api.engine.operation import Operation
from users_api.engine.responses import Response, from_starlette

NAME: Final = re.compile(r"\{([^}]+)\}")
MAX_AMBIGUOUS_LENGTH: Final = 2_000  # Characters of a path, which take about 20 ms at worst.
MAX_LITERAL_LENGTH: Final = 4_096  # Of an encoded segment that may be a literal one: decoding takes a while.
NO_PARAMETERS: Final[Mapping[str, str]] = {}

Match = tuple[Operation, Mapping[str, str]]  # An operation, and its path parameters, still percent-encoded.


class Pattern(NamedTuple):
    """A path segment with parameters, such as `{name}.{extension}`; without literals it matches anything."""

    names: tuple[str, ...]
    literals: tuple[str, ...]
    """The texts around the parameters, one more than there are parameters."""
    node: "Node"

    @property
    def weight(self) -> int:
        """The length of all literals: the pattern with the longest ones is tried first."""
        return sum(map(len, self.literals))

    def match(self, segment: str) -> Mapping[str, str] | None:
        """Return the texts of the parameters, or None; each but the last is as long as possible.

        A regular expression would do the same, but takes quadratic time for two parameters.
        """
        first, *between, last = self.literals
        if not (segment.startswith(first) and segment.endswith(last)):
            return None
        end, texts = len(segment) - len(last), []
        for literal in reversed(between):
            at = segment.rfind(literal, 0, max(0, end - 1))
            texts.append(segment[at + len(literal) : end] if at >= 0 else "")
            end = at
        texts.append(segment[len(first) : max(0, end)])
        return dict(zip(self.names, reversed(texts), strict=True)) if all(texts) else None


class Node:
    """A node of the tree of path segments: its children, and its path's operations by method."""

    __slots__ = ("literals", "operations", "patterns")

    def __init__(self) -> None:
        """Start without children."""
        self.literals: dict[str, Node] = {}
        self.patterns: list[Pattern] = []
        self.operations: dict[str, Operation] = {}

    def child(self, template: str) -> "Node":
        """Return the child for a segment of a path template; create it if necessary."""
        names = tuple(NAME.findall(template))
        if not names:
            return self.literals.setdefault(template, Node())
        literals = tuple(NAME.split(template)[::2])
        for pattern in self.patterns:
            if pattern.literals == literals and pattern.names == names:
                return pattern.node
        pattern = Pattern(names, literals, Node())
        self.patterns.append(pattern)
        self.patterns.sort(key=lambda each: -each.weight)
        return pattern.node

    def find_all(
        self, segments: list[str], at: int, decode: Callable[[str], str]
    ) -> Iterator[tuple["Node", Mapping[str, str]]]:
        """Yield each node whose path matches, the most literal first, with its parameters."""
        if at == len(segments):
            if self.operations:
                yield self, NO_PARAMETERS
            return
        segment = segments[at]
        is_short = len(segment) <= MAX_LITERAL_LENGTH
        if literal := self.literals.get(decode(segment) if is_short else segment):
            yield from literal.find_all(segments, at + 1, decode)
        for pattern in self.patterns:
            if (texts := pattern.match(segment)) is not None:
                for node, more in pattern.node.find_all(segments, at + 1, decode):
                    yield node, {**texts, **more}


class MultiSegmentPath(NamedTuple):
    """A path with a parameter of format `path`, which may contain slashes (an extension of Connexion)."""

    expression: re.Pattern[str]
    names: tuple[str, ...]
    node: Node
    longest: float
    """How long a path may be: with several parameters, matching takes quadratic time."""


class Routes:
    """The paths of all APIs; an encoded slash belongs to its segment (RFC 3986, 2.2)."""

    def __init__(self) -> None:
        """Start without paths."""
        self._literal: dict[str, Node] = {}
        self._last: dict[str, tuple[str, dict[str, Operation]]] = {}
        self._root = Node()
        self._spanning: dict[str, MultiSegmentPath] = {}
        self._shapes: dict[tuple[str, str], Operation] = {}

    def add(self, operation: Operation) -> None:
        """Add an operation under its full path; GET also serves HEAD unless the document defines HEAD.

        Raises:
            DocumentError: another operation has the same method and an equivalent path, or two parameters
                of the path may contain slashes.
        """
        shape = (NAME.sub("{}", operation.whole_path), operation.method.upper())
        if (other := self._shapes.setdefault(shape, operation)) is not operation:
            raise DocumentError(
                operation.pointer,
                f"the path {operation.whole_path} matches the same requests as {other.whole_path}",
                "keep one of the two, or make their literal text differ",
            )
        operations = self._node(operation).operations
        operations[operation.method.upper()] = operation
        if operation.method == "get":
            operations.setdefault("HEAD", operation)

    def _node(self, operation: Operation) -> Node:
        path, names = operation.whole_path, tuple(NAME.findall(operation.whole_path))
        if len(operation.spanning_names) > 1:
            raise DocumentError(
                operation.pointer,
                f"in {operation.whole_path} two parameters of format path may share a text in many ways",
                "keep the format of one of them",
            )
        if operation.spanning_names:
            return self._spanning.setdefault(path, _spanning(path, names, operation.spanning_names)).node
        node = self._root
        parent, _, last = path.rpartition("/")
        for segment in parent.split("/"):
            node = node.child(segment)
        end = node.child(last)
        if not names:
            self._literal[path] = end
        elif NAME.fullmatch(last) and len(names) == len(node.patterns) == 1:
            self._last[parent] = names[0], end.operations
        elif not NAME.search(parent):
            self._last.pop(parent, None)  # Its last segment leaves a choice.
        return end

    def find(self, scope: Scope) -> Match:
        """Return the operation of a request and the texts of its path parameters.

        Raises:
            HTTPException: 404 if no path matches; 405 with `Allow` if no matching path has the method.
        """
        path: str = scope["path"]
        if root := scope.get("root_path"):
            path = path.removeprefix(root)
        raw_path: bytes = scope.get("raw_path") or path.encode()
        if b"%" not in raw_path:
            if (node := self._literal.get(path)) and (operation := node.operations.get(scope["method"])):
                return operation, NO_PARAMETERS
            parent, _, text = path.rpartition("/")
            if (
                text
                and node is None
                and (last := self._last.get(parent))
                and (operation := last[1].get(scope["method"]))
            ):
                return operation, {last[0]: text}
            return self._match(path.split("/"), scope["method"], str)
        text = raw_path.decode("latin-1")
        return self._match((text.removeprefix(root) if root else text).split("/"), scope["method"], unquote)

    def find_documented(self, scope: Scope, status: int) -> Iterable[Operation]:
        """Return the operations that document a response of this status to the request.

        A method that the path does not have belongs to no operation, but each one of the path documents 405.
        """
        try:
            return [self.find(scope)[0]]
        except HTTPException as error:
            if error.status_code != status or not error.headers:
                return []
            methods = error.headers["Allow"].split(", ")
        return dict.fromkeys(self.find({**scope, "method": method})[0] for method in methods)

    def redirect(self, scope: Scope) -> Response | None:
        """Return a redirect that adds or removes the trailing slash, as Connexion does unless strict."""
        path, raw = (
            _toggle_trailing_slash(text)
            for text in (scope["path"], scope.get("raw_path", b"").decode("latin-1"))
        )
        other = {**scope, "path": path, "raw_path": raw.encode("latin-1") if "raw_path" in scope else None}
        try:
            operation, _ = self.find(other)
        except HTTPException:
            return None
        if operation.api.options.strict_validation:
            return None
        target = URL(scope=other).replace(path=raw) if raw else URL(scope=other)
        return from_starlette(RedirectResponse(str(target)))

    def _match(self, segments: list[str], method: str, decode: Callable[[str], str]) -> Match:
        """Return the match of encoded segments, which are decoded to compare them with literal ones."""
        allowed: set[str] = set()
        for node, texts in self._candidates(segments, decode):
            if (operation := node.operations.get(method)) and operation.takes(texts):
                return operation, texts
            allowed |= {name for name, each in node.operations.items() if each.takes(texts)}
            if texts is NO_PARAMETERS:
                # A concrete path is matched before its templated siblings, whatever the method
                # (OpenAPI 3.0.3).
                break
        if not allowed:
            raise PathNotFound
        raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(sorted(allowed))})

    def _candidates(
        self, segments: list[str], decode: Callable[[str], str]
    ) -> Iterator[tuple[Node, Mapping[str, str]]]:
        yield from self._root.find_all(segments, 0, decode)
        if self._spanning:
            path = "/".join(segments)
            for spanning in self._spanning.values():
                if len(path) <= spanning.longest and (found := spanning.expression.fullmatch(path)):
                    yield spanning.node, dict(zip(spanning.names, found.groups(), strict=True))


def _toggle_trailing_slash(path: str) -> str:
    return path.rstrip("/") if path.endswith("/") else f"{path}/"


def _spanning(path: str, names: tuple[str, ...], wide: frozenset[str]) -> MultiSegmentPath:
    """Return the pattern of a whole path, in which the `wide` parameters also match slashes."""
    parts: list[Any] = NAME.split(path)
    groups = ["(.+)" if part in wide else "([^/]+)" for part in parts[1::2]]
    texts = [re.escape(part) for part in parts[::2]]
    text = texts[0] + "".join(group + literal for group, literal in zip(groups, texts[1:], strict=True))
    longest = MAX_AMBIGUOUS_LENGTH if len(names) > 1 else inf
    return MultiSegmentPath(re.compile(text), names, Node(), longest)
