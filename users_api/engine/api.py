"""An API: a document and the options with which the application serves it."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

from connexion.decorators.parameter import pythonic, sanitized
from connexion.jsonifier import Jsonifier
from connexion.middleware.abstract import SpecMiddleware
from connexion.options import SwaggerUIOptions
from connexion.resolver import Resolver
from connexion.spec import Specification

from users_api.engine.document import Document
from users_api.engine.schemas import Schemas
from users_api.engine.security import Security


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of an application, which each of its APIs may override; the names are Connexion's."""

    arguments: dict[str, Any] | None = None
    auth_all_paths: bool = False
    jsonifier: Jsonifier | None = None
    pythonic_params: bool = False
    resolver: Resolver | Callable[[str], Any] | None = None
    resolver_error: int | None = None
    security_map: Mapping[str, Any] | None = None
    strict_validation: bool = False
    swagger_ui_options: SwaggerUIOptions | None = None
    uri_parser_class: type | None = None
    validate_responses: bool = False
    validator_map: Mapping[str, Any] | None = None

    def overridden_by(self, changes: Mapping[str, Any]) -> "Options":
        """Return a copy of these options with the changes that are not None."""
        return replace(self, **{name: value for name, value in changes.items() if value is not None})


OPTION_NAMES = frozenset(field.name for field in fields(Options))


class Api:
    """A document with its options, its base path and the compiler of its schemas."""

    def __init__(
        self, document: Document, options: Options, *, base_path: str | None, name: str | None
    ) -> None:
        """Store the document; a base path given here replaces that of its servers."""
        if base_path is not None:
            document.base_path = base_path
        self.document, self.options, self.name = document, options, name
        self.middleware_options: dict[str, Any] = {}
        self.base_path = document.base_path
        self.schemas = Schemas(document.root)
        resolver = options.resolver
        self.resolver: Any = Resolver(resolver) if callable(resolver) else resolver or Resolver()
        self.argument_name = pythonic if options.pythonic_params else sanitized
        schemes = document.root.get("components", {}).get("securitySchemes", {})
        self.security_schemes = {name: document.resolve(scheme, "")[0] for name, scheme in schemes.items()}

    @cached_property
    def specification(self) -> Specification:
        """Connexion's own view of the document, created on first access."""
        specification: Specification = Specification.from_dict(deepcopy(self.document.root))
        return specification

    def register_with(self, middleware: SpecMiddleware) -> None:
        """Add the API to one of the program's middlewares that has its own operations."""
        options = {field.name: getattr(self.options, field.name) for field in fields(self.options)}
        options |= {"resolver": self.resolver, "name": self.name, **self.middleware_options}
        middleware.add_api(self.specification, base_path=self.base_path, **options)

    def parameter_type(self, parameter: Mapping[str, Any]) -> str | None:
        """Return the type of a parameter; `path`, a format that Connexion defines, counts as a type."""
        schema = self.schemas.resolve(parameter.get("schema", {}))
        return "path" if schema.get("format") == "path" else schema.get("type")

    def compile_security(self) -> Security | None:
        """Return the document's security requirements, for operations without their own."""
        security = self.document.root.get("security")
        return Security.compile(
            security, self.security_schemes, "#/security", security_map=self.options.security_map
        )
