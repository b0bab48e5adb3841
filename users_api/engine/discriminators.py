"""References between schemas, and the schemas that a discriminator chooses from."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from users_api.engine.failures import DocumentError
from users_api.engine.keywords import check_keywords
from users_api.engine.references import canonical_pointer, resolve_pointer
from users_api.engine.yaml_source import child_pointer


class Node(NamedTuple):
    """A schema of the document (not a reference) and its pointer."""

    schema: Mapping[str, Any]
    pointer: str


class References:
    """Follows the document's local references between schemas."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        """Keep the document."""
        self.root = root
        self._checked: dict[int, Mapping[str, Any]] = {}

    def follow(self, schema: Any, pointer: str) -> Node:
        """Return the target of a chain of references.

        Raises:
            DocumentError: the target does not exist, or the chain is circular.
        """
        passed: set[str] = set()
        while isinstance(schema, Mapping) and isinstance(reference := schema.get("$ref"), str):
            if reference in passed:
                raise DocumentError(pointer, f"{reference} refers to itself")
            passed.add(reference)
            try:
                target = canonical_pointer(reference.removeprefix("#")) if reference.startswith("#") else None
                schema = resolve_pointer(self.root, target or "/")
            except LookupError:
                problem = f"{reference} does not exist"
                raise DocumentError(
                    pointer, problem, "refer to a schema of this document: #/components/schemas/…"
                ) from None
            pointer = target or pointer
        if not isinstance(schema, Mapping):
            raise DocumentError(
                pointer, "a schema must be an object", "write {} where every value is allowed"
            )
        return Node(schema, pointer)

    def check(self, node: Node) -> None:
        """Check the keywords of a schema, once.

        Raises:
            DocumentError: one of them cannot be enforced.
        """
        if id(node.schema) not in self._checked:
            check_keywords(*node)
            self._checked[id(node.schema)] = node.schema

    def components(self) -> Mapping[str, Any]:
        """Return the schemas that have names."""
        found: Mapping[str, Any] = self.root.get("components", {}).get("schemas", {})
        return found

    def applied_subschemas(self, node: Node, *keywords: str) -> Iterator[Node]:
        """Yield the schema and all schemas combined in it at any depth, each once."""
        seen: set[int] = set()
        waiting = [node]
        while waiting:
            schema, pointer = self.follow(*waiting.pop())
            if id(schema) not in seen:
                seen.add(id(schema))
                yield Node(schema, pointer)
                waiting += [member for keyword in keywords for member in members(schema, pointer, keyword)]


class Discriminators(References):
    """Finds the schema for each value of a discriminator."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        """Start with an empty cache."""
        super().__init__(root)
        self._targets: dict[int, dict[str, Node]] = {}

    def targets(self, node: Node) -> dict[str, Node]:
        """Return each value's schema: those in `oneOf` or `anyOf`, or this one and its extensions by `allOf`.

        Raises:
            DocumentError: an alternative has no name, or `mapping` names a schema that is not an alternative.
        """
        if (found := self._targets.get(id(node.schema))) is None:
            found = self._targets[id(node.schema)] = (
                self._alternatives(node)
                if alternatives_keyword(node.schema)
                else self._extending_schemas(node)
            )
            found |= self._with_mapping(node, found)
        return found

    def _alternatives(self, node: Node) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for member, pointer in members(*node, alternatives_keyword(node.schema)):
            if not is_reference(member):
                problem = "a discriminator cannot choose a schema without a name"
                raise DocumentError(pointer, problem, "move it to components/schemas")
            target = self.follow(member, pointer)
            name = last_name(member["$ref"])
            if found.setdefault(name, target).schema is not target.schema:
                raise DocumentError(pointer, f"two alternatives have the name {name}", "rename one of them")
        return found

    def _extending_schemas(self, node: Node) -> dict[str, Node]:
        found = {}
        for name, schema in self.components().items():
            heir = Node(schema, child_pointer("#/components/schemas", name))
            if not is_reference(schema) and any(
                part.schema is node.schema for part in self.applied_subschemas(heir, "allOf")
            ):
                found[name] = heir
        return found

    def _with_mapping(self, node: Node, alternatives: dict[str, Node]) -> dict[str, Node]:
        found = {}
        for value, target in node.schema["discriminator"].get("mapping", {}).items():
            pointer = child_pointer(f"{node.pointer}/discriminator/mapping", value)
            named = child_pointer("#/components/schemas", target) if target in self.components() else target
            found[value] = self.follow({"$ref": named}, pointer)
            if alternatives_keyword(node.schema) and all(
                found[value].schema is not each.schema for each in alternatives.values()
            ):
                raise DocumentError(
                    pointer,
                    f"{target} is none of the alternatives",
                    f"add it to {alternatives_keyword(node.schema)}",
                )
        return found


def members(schema: Mapping[str, Any], pointer: str, keyword: str) -> list[Node]:
    """Return the members of `allOf`, `oneOf` or `anyOf`, without following references."""
    return [
        Node(member, f"{pointer}/{keyword}/{index}") for index, member in enumerate(schema.get(keyword, ()))
    ]


def last_name(reference: str) -> str:
    """Return the name at the end of a reference (RFC 6901, 6)."""
    return canonical_pointer(reference[1:]).rpartition("/")[2].replace("~1", "/").replace("~0", "~")


def alternatives_keyword(schema: Mapping[str, Any]) -> str:
    """Return the keyword that lists the alternatives, or an empty string."""
    return "oneOf" if "oneOf" in schema else "anyOf" if "anyOf" in schema else ""


def is_reference(schema: Any) -> bool:
    """Return whether the schema is a reference, whose other keywords are ignored."""
    return isinstance(schema, Mapping) and isinstance(schema.get("$ref"), str)
