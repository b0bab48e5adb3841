"""References between schemas, and the schemas that a discriminator chooses from."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from users_api.engine.failures import DocumentError
from users_api.engine.keywords import check_keywords
from users_api.engine.references import canonical, find
from users_api.engine.sources import child_pointer


class Node(NamedTuple):
    """A schema of the document, no reference, and its pointer."""

    schema: Mapping[str, Any]
    pointer: str


class References:
    """Follows the document's local references between schemas."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        """Keep the document."""
        self.root = root
        self._checked: dict[int, Mapping[str, Any]] = {}

    def follow(self, schema: Any, pointer: str) -> Node:
        """Return what a chain of references leads to.

        Raises:
            DocumentError: it leads nowhere, or in a circle.
        """
        passed: set[str] = set()
        while isinstance(schema, Mapping) and isinstance(reference := schema.get("$ref"), str):
            if reference in passed:
                raise DocumentError(pointer, f"{reference} refers to itself")
            passed.add(reference)
            try:
                target = canonical(reference.removeprefix("#")) if reference.startswith("#") else None
                schema = find(self.root, target or "/")
            except LookupError:
                problem = f"{reference} leads nowhere"
                raise DocumentError(pointer, problem, "refer to a schema of this document: #/components/schemas/…") from None
            pointer = target or pointer
        if not isinstance(schema, Mapping):
            raise DocumentError(pointer, "a schema must be an object", "write {} where every value is allowed")
        return Node(schema, pointer)

    def check(self, node: Node) -> None:
        """Look at the keywords of a schema, once.

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

    def in_place(self, node: Node, *keywords: str) -> Iterator[Node]:
        """Yield the schema and those that are combined in it, however deep, each once."""
        seen: set[int] = set()
        waiting = [node]
        while waiting:
            schema, pointer = self.follow(*waiting.pop())
            if id(schema) not in seen:
                seen.add(id(schema))
                yield Node(schema, pointer)
                waiting += [member for keyword in keywords for member in members(schema, pointer, keyword)]


class Discriminators(References):
    """Finds the schemas that a discriminator's values name."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        """Begin with none found."""
        super().__init__(root)
        self._targets: dict[int, dict[str, Node]] = {}

    def targets(self, node: Node) -> dict[str, Node]:
        """Return each value's schema: those in `oneOf` or `anyOf`, or this one and its extensions by `allOf`.

        Raises:
            DocumentError: an alternative has no name, or `mapping` names what is no alternative.
        """
        if (found := self._targets.get(id(node.schema))) is None:
            found = self._targets[id(node.schema)] = self._alternatives(node) if choice(node.schema) else self._heirs(node)
            found |= self._mapped(node, found)
        return found

    def _alternatives(self, node: Node) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for member, pointer in members(*node, choice(node.schema)):
            if not is_reference(member):
                problem = "a discriminator cannot choose a schema without a name"
                raise DocumentError(pointer, problem, "move it to components/schemas")
            target = self.follow(member, pointer)
            name = last_name(member["$ref"])
            if found.setdefault(name, target).schema is not target.schema:
                raise DocumentError(pointer, f"two alternatives have the name {name}", "rename one of them")
        return found

    def _heirs(self, node: Node) -> dict[str, Node]:
        found = {}
        for name, schema in self.components().items():
            heir = Node(schema, child_pointer("#/components/schemas", name))
            if not is_reference(schema) and any(part.schema is node.schema for part in self.in_place(heir, "allOf")):
                found[name] = heir
        return found

    def _mapped(self, node: Node, alternatives: dict[str, Node]) -> dict[str, Node]:
        found = {}
        for value, target in node.schema["discriminator"].get("mapping", {}).items():
            pointer = child_pointer(f"{node.pointer}/discriminator/mapping", value)
            named = child_pointer("#/components/schemas", target) if target in self.components() else target
            found[value] = self.follow({"$ref": named}, pointer)
            if choice(node.schema) and all(found[value].schema is not each.schema for each in alternatives.values()):
                raise DocumentError(pointer, f"{target} is none of the alternatives", f"add it to {choice(node.schema)}")
        return found


def members(schema: Mapping[str, Any], pointer: str, keyword: str) -> list[Node]:
    """Return what `allOf`, `oneOf` or `anyOf` holds, references as they are."""
    return [Node(member, f"{pointer}/{keyword}/{index}") for index, member in enumerate(schema.get(keyword, ()))]


def last_name(reference: str) -> str:
    """Return the name at the end of a reference (RFC 6901, 6)."""
    return canonical(reference[1:]).rpartition("/")[2].replace("~1", "/").replace("~0", "~")


def choice(schema: Mapping[str, Any]) -> str:
    """Return the keyword that holds the alternatives, or nothing."""
    return "oneOf" if "oneOf" in schema else "anyOf" if "anyOf" in schema else ""


def is_reference(schema: Any) -> bool:
    """Say whether the schema is a reference, which has no other keywords."""
    return isinstance(schema, Mapping) and isinstance(schema.get("$ref"), str)
