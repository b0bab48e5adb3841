"""One document served by the program, with the options that the program gave for it."""

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
    """What a program may say for the application, and again for each of its APIs: Connexion's options by their names."""

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

    def replaced(self, changes: Mapping[str, Any]) -> "Options":
        """Return these options with those of the changes that are given; None means not given."""
        return replace(self, **{name: value for name, value in changes.items() if value is not None})


OPTION_NAMES = frozenset(field.name for field in fields(Options))


class Api:
    """A document with its options, its base path and the compiler of its schemas."""

    def __init__(self, document: Document, options: Options, *, base_path: str | None, name: str | None) -> None:
        """Take the document; a base path given here replaces that of its servers."""
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
        """Connexion's own view of the document, made when first asked for."""
        specification: Specification = Specification.from_dict(deepcopy(self.document.root))
        return specification

    def add_to(self, middleware: SpecMiddleware) -> None:
        """Give the API to a middleware of the program's that has operations of its own."""
        options = {field.name: getattr(self.options, field.name) for field in fields(self.options)}
        options |= {"resolver": self.resolver, "name": self.name, **self.middleware_options}
        middleware.add_api(self.specification, base_path=self.base_path, **options)

    def type_of(self, parameter: Mapping[str, Any]) -> str | None:
        """Return the type of a parameter; `path`, a format of Connexion's own, is a type of its own."""
        schema = self.schemas.resolve(parameter.get("schema", {}))
        return "path" if schema.get("format") == "path" else schema.get("type")

    def compile_security(self) -> Security | None:
        """Return what the document demands of operations that say nothing themselves."""
        security = self.document.root.get("security")
        return Security.compile(security, self.security_schemes, "#/security", security_map=self.options.security_map)
