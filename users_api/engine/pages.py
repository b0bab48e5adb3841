"""The documentation of each API, the document itself and Swagger UI, and pages that the program adds."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import orjson
from connexion.options import SwaggerUIConfig, SwaggerUIOptions
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette.types import Receive, Scope, Send

from users_api.engine.assets import Asset, read_folders
from users_api.engine.document import Document
from users_api.engine.yaml_source import dump

Page = Callable[[Request], Awaitable[Response]]
Endpoint = Callable[[Request], Response]

ALLOW: Final = "GET, HEAD"
METHODS: Final = frozenset({"GET", "HEAD"})
CONFIGURATION: Final = "swagger-ui-config.json"
TEMPLATE: Final = "index.j2"
INDEX: Final = "index.html"
JSON: Final = "application/json"
YAML: Final = "application/yaml"
OPENAPI_VERSION: Final = (3, 0, 0)
MAX_CACHED_ROOT_PATHS: Final = 8  # The number of root paths for which a document's text is cached.


class Pages:
    """Serves pages by exact path, each with the same extra headers; range requests are not supported.

    A response with an `ETag` also has the headers `of_tagged`, which take precedence.

    Documents and files are held in memory, compressed when the application is built: serving them opens no
    file. `packages` are folders inside packages, such as `("flask_swagger_ui", "dist")`, for files of the
    user interface that are missing from the folder in the options. `unused` are the relative paths of files
    that the user interface does not need; neither they nor source maps are served.
    """

    def __init__(
        self,
        headers: Mapping[str, str] | None = None,
        *,
        of_tagged: Mapping[str, str] | None = None,
        packages: Sequence[tuple[str, str]] = (),
        unused: Iterable[str] = (),
    ) -> None:
        """Start without pages."""
        self._headers = dict(headers or {})
        self._headers_of_tagged = self._headers | dict(of_tagged or {})
        self._packages: list[str | tuple[str, str]] = list(packages)
        self._unused = frozenset(unused)
        self._pages: dict[str, Page] = {}
        self._folders: tuple[str, ...] = ()

    def add(self, path: str, endpoint: Endpoint) -> None:
        """Add one of the program's pages; it takes precedence over a page of an API at the same path."""
        self._pages[path] = _page(endpoint)

    def add_api(self, document: Document, options: SwaggerUIOptions | None = None) -> None:
        """Add the document of an API and its user interface; the first API at a path keeps its pages.

        Raises:
            FileNotFoundError: the user interface has no start page.
            RuntimeError: the folder of the user interface does not exist.
            ValueError: the options are of another type.
        """
        config = SwaggerUIConfig(options, oas_version=OPENAPI_VERSION)
        pages: dict[str, Page] = {}
        if config.openapi_spec_available:
            pages |= _document_pages(document, config)
        if config.swagger_ui_available:
            pages |= self._interface_pages(document.base_path, config)
        self._pages = pages | self._pages

    def serves(self, path: str) -> bool:
        """Return whether a path below the root path is a page, or in the folder of a user interface."""
        return path in self._pages or path.startswith(self._folders)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the page of the request.

        Raises:
            HTTPException: 404, there is no such page; 405, pages can only be read.
        """
        page = self._pages.get(path_below_root(scope))
        if page is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        if scope["method"] not in METHODS:
            raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": ALLOW})
        scope = {**scope, "headers": [header for header in scope["headers"] if header[0] != b"range"]}
        response = await page(Request(scope, receive))
        response.headers.update(self._headers_of_tagged if "ETag" in response.headers else self._headers)
        del response.headers["Accept-Ranges"]
        await response(scope, receive, send)

    def _interface_pages(self, base_path: str, config: SwaggerUIConfig) -> dict[str, Page]:
        """Return the pages of Swagger UI: its start page, its files and its configuration."""
        path = f"{base_path}/{config.swagger_ui_path.strip().strip('/')}".rstrip("/")
        files = StaticFiles(directory=config.swagger_ui_template_dir, packages=self._packages)
        assets = read_folders(map(Path, files.all_directories), without=self._unused)
        pages: dict[str, Page] = {f"{path}/{name}": _page(asset.respond) for name, asset in assets.items()}
        if Path(config.swagger_ui_template_dir, TEMPLATE).exists():
            pages[f"{path}/{INDEX}"] = _start_page(base_path, config)
        if f"{path}/{INDEX}" not in pages:
            message = f"{config.swagger_ui_template_dir} has neither {TEMPLATE} nor {INDEX}"
            raise FileNotFoundError(message)
        if config.swagger_ui_config:
            configuration = Asset(json.dumps(config.swagger_ui_config).encode(), JSON)
            pages[f"{path}/{CONFIGURATION}"] = _page(configuration.respond)
        pages[f"{path}/"] = pages[f"{path}/{INDEX}"]
        if path:
            pages[path] = _page(lambda request: RedirectResponse(f"{_root_path(request)}{path}/"))
            self._folders += (f"{path}/",)
        return pages


def path_below_root(scope: Scope) -> str:
    """Return the decoded path without the root path, which not every server includes.

    A path with an encoded slash stays encoded, so that it is no page's: the slash belongs to its segment
    (RFC 3986, 2.2).
    """
    path: str = scope["path"]
    raw_path: bytes = scope.get("raw_path") or b""
    if b"%" in raw_path and b"%2f" in raw_path.lower():
        path = raw_path.decode("latin-1")
    if not (root_path := scope.get("root_path")):
        return path
    root_path = root_path.rstrip("/")
    return path.removeprefix(root_path) if path.startswith(f"{root_path}/") else path


def _document_pages(document: Document, config: SwaggerUIConfig) -> dict[str, Page]:
    """Return the pages of the document: unchanged, or with the base path that clients of a proxy use."""

    @lru_cache(maxsize=MAX_CACHED_ROOT_PATHS)
    def as_json(root_path: str) -> Asset:
        root = document.with_base_path(root_path + document.base_path) if root_path else document.root
        return Asset(_json(root), JSON)

    @lru_cache(maxsize=MAX_CACHED_ROOT_PATHS)
    def as_yaml(root_path: str) -> Asset:
        if root_path:
            return Asset(dump(document.with_base_path(root_path + document.base_path)), YAML)
        return Asset(dump(document.root) if document.source is None else document.source, YAML)

    def page(asset: Callable[[str], Asset]) -> Page:
        return _page(lambda request: asset(_root_path(request)).respond(request))

    path = f"{document.base_path}{config.openapi_spec_path}"
    pages = {path: page(as_json)}
    as_json("")
    if path.endswith("json"):
        pages[f"{path.removesuffix('json')}yaml"] = page(as_yaml)
        if document.source is not None:  # A document without a source may have values that YAML has not.
            as_yaml("")
    return pages


def _json(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # An integer of more than 64 bits, or a lone surrogate.
        return json.dumps(value).encode()


def _start_page(base_path: str, config: SwaggerUIConfig) -> Page:
    """Return the page rendered from the folder's template, with Connexion's variables."""
    templates = Jinja2Templates(directory=config.swagger_ui_template_dir)
    templates.get_template(TEMPLATE)  # Fails at startup when it is malformed.
    templates.env.auto_reload = False  # Otherwise each request looks for a newer file.
    configuration = {"configUrl": CONFIGURATION} if config.swagger_ui_config else {}

    def render(request: Request) -> Response:
        url = quote(f"{_root_path(request)}{base_path}{config.openapi_spec_path}")
        variables = {"openapi_spec_url": url, **config.swagger_ui_template_arguments, **configuration}
        return templates.TemplateResponse(request, TEMPLATE, variables)

    return _page(render)


def _page(endpoint: Endpoint) -> Page:
    async def page(request: Request) -> Response:
        return endpoint(request)

    return page


def _root_path(request: Request) -> str:
    root_path: str = request.scope.get("root_path", "")
    return root_path.rstrip("/")
