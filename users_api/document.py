"""Loads the service's OpenAPI document, and leaves out what this service is not configured to do."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple

from users_api.engine.document import Document

AUTHENTICATION: Final = "authentication"
"""The tag of the operations with which the service issues its own access tokens."""
TOKEN_OPERATION: Final = "issue_token"  # noqa: S105 -- an operationId.
METRICS: Final = "metrics"
TOKEN_STATUSES: Final = ("401", "403")
UNAVAILABLE_STATUS: Final = "503"
LIMIT_STATUS: Final = "429"
SCHEME: Final = "oauth"
DISCOVERY_PATH: Final = "/.well-known/openid-configuration"  # OpenID Connect Discovery 1.0, 4.
METHODS: Final = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})


class Parts(NamedTuple):
    """The optional parts of the document that a service has."""

    authentication: bool = True
    issuer: str | None = None
    """The URL of the external issuer of access tokens, None if the service issues its own."""
    rate_limits: bool = True


EVERYTHING: Final = Parts()
OPEN: Final = Parts(authentication=False, rate_limits=False)
"""The document of a service with the default settings."""


def document_path() -> Path:
    """Return the path of the document: in the installed package, or next to the package in a checkout."""
    package = Path(str(files("users_api")))
    installed = package / "openapi" / "users.yaml"
    return installed if installed.exists() else package.parent / "openapi" / "users.yaml"


def load_document(parts: Parts = EVERYTHING) -> dict[str, Any]:
    """Return the validated document with these of its optional parts.

    Raises:
        DocumentError: the document is invalid, or uses a feature that the engine cannot enforce.
    """
    whole = Document.load(document_path()).root
    document = deepcopy(whole)
    if not parts.authentication:
        _remove_authentication(document)
    elif parts.issuer:
        _name_issuer(document, parts.issuer)
    if not parts.rate_limits:
        _remove_rate_limits(document)
    for reference in _references(whole) - _references(document):
        _remove_component(document, reference)
    return document


def scopes() -> dict[str, str]:
    """Return the description of each scope that an access token can have."""
    flows = load_document()["components"]["securitySchemes"][SCHEME]["flows"]
    found: dict[str, str] = flows["clientCredentials"]["scopes"]
    return found


def _remove_authentication(document: dict[str, Any]) -> None:
    """Remove everything that has to do with access tokens."""
    _remove_token_operations(document)
    document.get("components", {}).pop("securitySchemes", None)
    for operation in _operations(document):
        if METRICS in operation.get("tags", ()):
            operation["responses"].pop(UNAVAILABLE_STATUS, None)  # Only tokens can make them wait.
        operation.pop("security", None)
        for status in TOKEN_STATUSES:
            operation["responses"].pop(status, None)


def _name_issuer(document: dict[str, Any], issuer: str) -> None:
    """Name the issuer of the tokens instead of the service's own operations.

    An `openIdConnect` scheme has no scopes, so that its description names them.
    """
    _remove_token_operations(document)
    own = document["components"]["securitySchemes"][SCHEME]
    named = own["flows"]["clientCredentials"]["scopes"]
    lines = "\n".join(f"- `{scope}`: {description}" for scope, description in named.items())
    document["components"]["securitySchemes"] = {
        SCHEME: {
            "type": "openIdConnect",
            "description": f"An access token of {issuer} with the scope of the operation:\n\n{lines}",
            "openIdConnectUrl": issuer.rstrip("/") + DISCOVERY_PATH,
        }
    }


def _remove_token_operations(document: dict[str, Any]) -> None:
    if "tags" in document:
        document["tags"] = [tag for tag in document["tags"] if tag["name"] != AUTHENTICATION]
    for path, item in list(document["paths"].items()):
        for method in METHODS & item.keys():
            if AUTHENTICATION in item[method].get("tags", ()):
                del item[method]
        if not METHODS & item.keys():
            del document["paths"][path]


def _remove_rate_limits(document: dict[str, Any]) -> None:
    """Remove the responses of rate limits, except from the operation that always has one."""
    for operation in _operations(document):
        if operation.get("operationId") != TOKEN_OPERATION:
            operation["responses"].pop(LIMIT_STATUS, None)


def _operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for item in document["paths"].values():
        yield from (item[method] for method in METHODS & item.keys())


def _references(document: Mapping[str, Any]) -> set[str]:
    """Return the references to components that the operations make, directly or not."""
    reached, queue = set[str](), [*_references_within(document["paths"])]
    while queue:
        if (reference := queue.pop()) not in reached:
            reached.add(reference)
            queue.extend(_references_within(_component(document, reference)))
    return reached


def _references_within(part: Any) -> Iterator[str]:
    if isinstance(part, Mapping):
        reference = part.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/components/"):
            yield reference
        for each in part.values():
            yield from _references_within(each)
    elif isinstance(part, list):
        for each in part:
            yield from _references_within(each)


def _component(document: Mapping[str, Any], reference: str) -> Any:
    _, _, kind, name, *_ = reference.split("/")
    return document["components"][kind][name]


def _remove_component(document: dict[str, Any], reference: str) -> None:
    _, _, kind, name, *_ = reference.split("/")
    document["components"][kind].pop(name, None)
