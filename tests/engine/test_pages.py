import asyncio
import json
from collections.abc import MutableMapping
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from shutil import rmtree
from time import thread_time
from typing import Any
from urllib.parse import unquote

import jinja2
import orjson
import pytest
import yaml
from connexion.options import SwaggerUIOptions
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, RedirectResponse
from swagger_ui_bundle import swagger_ui_path

from users_api.engine.document import Document
from users_api.engine.pages import Pages, path_below_root

PROJECT = Path(__file__).parents[2]
OWN_DOCUMENT = PROJECT / "openapi" / "users.yaml"
OWN_INTERFACE = PROJECT / "users_api" / "ui"
PACKAGE = Path(str(files("flask_swagger_ui"))) / "dist"
BUNDLE = Path(swagger_ui_path)
POLICY = {"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff"}
POLICY_SENT = [(b"content-security-policy", b"default-src 'none'"), (b"x-content-type-options", b"nosniff")]
DOCUMENT = {"openapi": "3.0.3", "info": {"title": "T", "version": "1"}, "paths": {}}


class PageResponse:
    """The response of the pages to a request."""

    def __init__(self, messages: list[MutableMapping[str, Any]]) -> None:
        self.status = messages[0]["status"]
        self.raw_headers = messages[0]["headers"]
        self.headers = {name.decode(): value.decode() for name, value in self.raw_headers}
        self.body = b"".join(message.get("body", b"") for message in messages[1:])


def request(
    pages: Pages, path: str, method: str = "GET", root_path: str = "", **headers: str
) -> PageResponse:
    """Call the pages with a request, as a server does."""
    messages: list[MutableMapping[str, Any]] = []
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": unquote(path), "root_path": root_path, "headers": raw}
    scope["raw_path"] = path.encode()
    # From version 2.4 on, Starlette does not cancel the task that waits for a disconnect, which breaks
    # coverage on Python 3.11.
    scope["asgi"] = {"spec_version": "2.4"}

    async def receive() -> Any: ...

    async def send(message: MutableMapping[str, Any]) -> None:
        messages.append(message)

    asyncio.run(pages({**scope, "query_string": b""}, receive, send))
    return PageResponse(messages)


def make(document: Any = DOCUMENT, headers: dict[str, str] | None = None, **options: Any) -> Pages:
    """Return the pages of one API."""
    pages = Pages(headers)
    pages.add_api(Document.load(document), SwaggerUIOptions(**options))
    return pages


@pytest.fixture(scope="module")
def service():
    """Return the pages of the users service: Swagger UI 5 from its own folder and a package."""
    pages = Pages(POLICY, packages=[("flask_swagger_ui", "dist")])
    pages.add_api(Document.load(OWN_DOCUMENT), SwaggerUIOptions(swagger_ui_template_dir=str(OWN_INTERFACE)))
    pages.add("/", lambda _: RedirectResponse("/ui/"))
    pages.add("/metrics", lambda _: PlainTextResponse("requests_total 0"))
    return pages


@pytest.fixture
def interface(tmp_path):
    """Return the folder of a user interface without a template."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "style.css").write_text("p {}")
    (tmp_path / "index.html").write_text("<p>Own</p>")
    return tmp_path


# The users service: bytes and headers stay the same for its clients.


def test_the_document_is_served_as_it_is_written(service):
    as_json, as_yaml = request(service, "/openapi.json"), request(service, "/openapi.yaml")

    text = OWN_DOCUMENT.read_bytes()
    assert as_json.body == orjson.dumps(yaml.load(text, Loader=yaml.CSafeLoader))
    assert as_json.raw_headers == [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(as_json.body)).encode()),
        (b"etag", as_json.headers["etag"].encode()),
        (b"vary", b"Accept-Encoding"),
        *POLICY_SENT,
    ]
    assert as_yaml.body == text
    assert as_yaml.raw_headers == [
        (b"content-type", b"application/yaml"),
        (b"content-length", str(len(text)).encode()),
        (b"etag", as_yaml.headers["etag"].encode()),
        (b"vary", b"Accept-Encoding"),
        *POLICY_SENT,
    ]


@pytest.mark.parametrize(
    ("path", "file", "media_type"),
    [
        ("/ui/", OWN_INTERFACE / "index.html", "text/html; charset=utf-8"),
        ("/ui/index.html", OWN_INTERFACE / "index.html", "text/html; charset=utf-8"),
        ("/ui/initializer.js", OWN_INTERFACE / "initializer.js", "text/javascript; charset=utf-8"),
        ("/ui/swagger-ui-bundle.js", PACKAGE / "swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
        ("/ui/swagger-ui.css", PACKAGE / "swagger-ui.css", "text/css; charset=utf-8"),
        ("/ui/favicon-32x32.png", PACKAGE / "favicon-32x32.png", "image/png"),
        ("/ui/VERSION", PACKAGE / "VERSION", "application/octet-stream"),
    ],
)
def test_the_files_of_both_folders_are_served_whole(path, file, media_type, service):
    answer = request(service, path, range="bytes=0-1")

    assert answer.status == 200
    assert sha256(answer.body).digest() == sha256(file.read_bytes()).digest()
    assert answer.headers["content-type"] == media_type
    assert [name for name, _ in answer.raw_headers if name != b"vary"] == [
        *(b"content-type", b"content-length", b"etag"),
        *(name for name, _ in POLICY_SENT),
    ]


@pytest.mark.parametrize("date", ["yesterday", "Fri, 27 Nov 99999999999999999999 14:26:18 GMT"])
def test_dates_do_not_matter(service, date):
    assert request(service, "/ui/", if_modified_since=date).status == 200


@pytest.mark.parametrize("name", ["accept_encoding", "if_none_match"])
def test_a_long_list_of_codings_or_tags_is_ignored(service, name):
    plain, usual = (
        request(service, "/ui/swagger-ui.css"),
        request(service, "/ui/swagger-ui.css", accept_encoding="gzip"),
    )
    matching = {"accept_encoding": "gzip", "if_none_match": plain.headers["etag"]}[name]

    start = thread_time()
    ignored = request(service, "/ui/swagger-ui.css", **{name: f"{matching}, {'a;q=1,' * 10_000}"})

    assert thread_time() - start < 0.03
    assert (ignored.status, ignored.body) == (200, plain.body)
    assert len(usual.body) < len(plain.body)


def test_a_file_that_a_client_has_is_not_sent_again(service):
    etag = request(service, "/ui/").headers["etag"]

    answer = request(service, "/ui/", if_none_match=etag)

    assert (answer.status, answer.body) == (304, b"")
    assert answer.raw_headers[-2:] == POLICY_SENT


def test_head_has_the_headers_of_get(service):
    get, head = request(service, "/ui/"), request(service, "/ui/", "HEAD")

    assert (head.status, head.raw_headers, head.body) == (200, get.raw_headers, b"")


@pytest.mark.parametrize("path", ["/", "/ui"])
def test_shorter_paths_lead_to_the_user_interface(path, service):
    answer = request(service, path)

    assert (answer.status, answer.raw_headers) == (
        307,
        [(b"content-length", b"0"), (b"location", b"/ui/"), *POLICY_SENT],
    )


def test_responses_with_entity_tags_have_further_headers():
    pages = Pages({"Cache-Control": "no-store", "A": "b"}, of_tagged={"Cache-Control": "no-cache"})
    pages.add_api(Document.load(DOCUMENT))
    etag = request(pages, "/openapi.json").headers["etag"]

    tagged = [request(pages, "/openapi.json"), request(pages, "/openapi.json", if_none_match=etag)]
    others = [request(pages, "/ui"), request(pages, "/ui/")]

    for responses, control in ((tagged, "no-cache"), (others, "no-store")):
        assert [each.headers["cache-control"] for each in responses] == [control] * 2
        assert [each.headers["a"] for each in responses] == ["b"] * 2


def test_a_page_of_the_program_is_served(service):
    assert request(service, "/metrics").body == b"requests_total 0"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/ui/nope", "/ui/index.html/", "/ui//index.html", "/ui/../app.py"])
def test_unknown_pages_are_not_found(path, method, service):
    assert service.serves(path)
    with pytest.raises(HTTPException) as caught:
        request(service, path, method)
    assert caught.value.status_code == 404


@pytest.mark.parametrize("path", ["/", "/ui", "/ui/", "/openapi.json", "/metrics"])
def test_pages_can_only_be_read(path, service):
    with pytest.raises(HTTPException) as caught:
        request(service, path, "POST")

    assert (caught.value.status_code, caught.value.headers) == (405, {"Allow": "GET, HEAD"})


@pytest.mark.parametrize("path", ["/%75i/", "/ui/%69ndex.html", "/ui/index%2Ehtml", "/openapi%2ejson"])
def test_a_percent_encoded_path_is_the_same_page(path, service):
    assert request(service, path).body == request(service, unquote(path)).body


@pytest.mark.parametrize("path", ["/ui%2f", "/ui%2F", "%2Fui/", "/ui%2Findex.html", "/ui%252F", "%2f"])
def test_an_encoded_slash_belongs_to_its_segment(path, service):
    scope = {"path": unquote(path), "raw_path": path.encode(), "root_path": ""}

    assert not service.serves(path_below_root(scope))


def test_the_folder_of_a_user_interface_has_no_encoded_slash(service):
    with pytest.raises(HTTPException) as caught:
        request(service, "/ui/%2findex.html")

    assert caught.value.status_code == 404


@pytest.mark.parametrize("path", ["/users", "/users/1", "/uix", "/openapi", "/openapi.json/", ""])
def test_other_paths_are_left_to_the_operations(path, service):
    assert not service.serves(path)


# Any program


def test_the_bundled_user_interface_is_rendered_as_connexion_renders_it():
    pages = Pages()
    pages.add_api(Document.load({**DOCUMENT, "servers": [{"url": "/v1"}]}))

    answer = request(pages, "/v1/ui/")

    template = jinja2.Template((BUNDLE / "index.j2").read_text())
    assert answer.body.decode() == template.render(openapi_spec_url="/v1/openapi.json")
    assert request(pages, "/v1/ui/index.html").body == answer.body
    assert request(pages, "/v1/ui/swagger-ui.css").body == (BUNDLE / "swagger-ui.css").read_bytes()
    assert not pages.serves("/ui/")


def test_the_configuration_and_the_variables_of_the_template_are_those_of_the_options():
    pages = make(
        swagger_ui_config={"displayOperationId": True}, swagger_ui_template_arguments={"initOAuth": {"a": 1}}
    )

    page = request(pages, "/ui/").body.decode()

    assert 'configUrl: "swagger-ui-config.json"' in page
    assert '{"a": 1}' in page
    configuration = request(pages, "/ui/swagger-ui-config.json")
    assert json.loads(configuration.body) == {"displayOperationId": True}
    assert configuration.headers["content-type"] == "application/json"
    assert not make().serves("/ui-config.json")


def test_paths_are_those_of_the_options(interface):
    pages = make(spec_path="/spec.json", swagger_ui_path="/docs/ ", swagger_ui_template_dir=str(interface))

    assert json.loads(request(pages, "/spec.json").body) == DOCUMENT
    assert yaml.safe_load(request(pages, "/spec.yaml").body) == DOCUMENT
    assert request(pages, "/docs").headers["location"] == "/docs/"
    assert request(pages, "/docs/").body == b"<p>Own</p>"
    assert request(pages, "/docs/assets/style.css").body == b"p {}"
    assert not pages.serves("/openapi.json")


def test_a_user_interface_at_the_root_leaves_other_paths_alone(interface):
    pages = make(swagger_ui_path="/", swagger_ui_template_dir=str(interface))

    assert request(pages, "/").body == b"<p>Own</p>"
    assert request(pages, "/assets/style.css").body == b"p {}"
    assert not pages.serves("/users")


def test_a_document_at_another_kind_of_path_is_not_served_as_yaml():
    pages = make(spec_path="/spec", swagger_ui=False)

    assert json.loads(request(pages, "/spec").body) == DOCUMENT
    assert not pages.serves("/specyaml")


@pytest.mark.parametrize(
    ("options", "served"),
    [({"serve_spec": False}, ["/ui/"]), ({"swagger_ui": False}, ["/openapi.json", "/openapi.yaml"])],
)
def test_what_is_turned_off_is_not_served(options, served):
    pages = make(**options)

    assert [path for path in ("/openapi.json", "/openapi.yaml", "/ui/") if pages.serves(path)] == served


def test_each_api_has_its_pages_and_the_program_s_own_come_first():
    pages = Pages()
    pages.add("/openapi.json", lambda _: PlainTextResponse("own"))
    for title, base_path in (("A", ""), ("B", ""), ("C", "/c")):
        document = Document.load({**DOCUMENT, "info": {"title": title, "version": "1"}})
        document.base_path = base_path
        pages.add_api(document)

    assert request(pages, "/openapi.json").body == b"own"
    assert b"title: A" in request(pages, "/openapi.yaml").body
    assert json.loads(request(pages, "/c/openapi.json").body) == {
        **DOCUMENT,
        "info": {"title": "C", "version": "1"},
        "servers": [{"url": "/c"}],
    }


@pytest.mark.parametrize("path", ["/proxy/v1/openapi.json", "/v1/openapi.json"])
def test_behind_a_proxy_the_document_names_the_path_that_clients_see(path, tmp_path):
    (tmp_path / "api.yaml").write_text(json.dumps({**DOCUMENT, "servers": [{"url": "/v1"}]}))
    pages = make(tmp_path / "api.yaml")

    as_json = request(pages, path, root_path="/proxy/")
    as_yaml = request(pages, path.replace("json", "yaml"), root_path="/proxy/")

    assert json.loads(as_json.body)["servers"] == [{"url": "/proxy/v1"}]
    assert yaml.safe_load(as_yaml.body) == json.loads(as_json.body)
    assert b'url: "/proxy/v1/openapi.json"' in request(pages, "/v1/ui/", root_path="/proxy").body
    assert request(pages, "/proxy/v1/ui", root_path="/proxy").headers["location"] == "/proxy/v1/ui/"


def test_a_root_path_is_escaped_in_the_page():
    page = request(make(), "/ui/", root_path='/"</script>').body

    assert b'url: "/%22%3C/script%3E/openapi.json"' in page


@pytest.mark.parametrize(
    ("path", "root_path", "below"),
    [
        ("/a", "", "/a"),
        ("/a", "/b", "/a"),
        ("/b/a", "/b/", "/a"),
        ("/bc", "/b", "/bc"),
        ("/b/%61%2fc", "/b", "/%61%2fc"),
    ],
)
def test_the_path_below_the_root_path_is_found(path, root_path, below):
    scope = {"path": unquote(path), "raw_path": path.encode(), "root_path": root_path}

    assert path_below_root(scope) == below


def test_a_server_need_not_pass_the_raw_path():
    assert path_below_root({"path": "/a%", "raw_path": None}) == "/a%"


def test_pages_are_served_without_reading_files(interface):
    pages = make(swagger_ui_template_dir=str(interface))
    rmtree(interface)

    assert request(pages, "/ui/").body == b"<p>Own</p>"
    assert request(pages, "/ui/assets/style.css").body == b"p {}"


def test_a_template_is_rendered_without_looking_for_a_newer_one(tmp_path):
    (tmp_path / "index.j2").write_text("{{ openapi_spec_url }}")
    pages = make(swagger_ui_template_dir=str(tmp_path))
    rmtree(tmp_path)

    assert request(pages, "/ui/").body == b"/openapi.json"


def test_yaml_is_read_back_as_the_same_values_by_readers_of_both_versions(tmp_path):
    strings = ["no", "1e3", "0o17", "1_000", "18:00", "2026-11-27", "<<", "~", "", "true", "ä", "a\nb", "-.5"]
    document = {**DOCUMENT, "x-values": [*strings, 1, 1.5, 1000.0, None, True, {"on": "off"}]}

    text = request(make(document), "/openapi.yaml").body

    (tmp_path / "copy.yaml").write_bytes(text)
    assert yaml.safe_load(text) == document
    assert Document.load(tmp_path / "copy.yaml").root == document


@pytest.mark.parametrize("value", [2**70, "\ud800"])
def test_values_that_orjson_cannot_write_are_served_too(value):
    assert json.loads(request(make({**DOCUMENT, "x-value": value}), "/openapi.json").body)["x-value"] == value


def test_a_user_interface_without_a_start_page_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has neither index\.j2 nor index\.html"):
        make(swagger_ui_template_dir=str(tmp_path))


def test_a_malformed_template_is_refused(tmp_path):
    (tmp_path / "index.j2").write_text("{% nonsense %}")

    with pytest.raises(jinja2.TemplateSyntaxError):
        make(swagger_ui_template_dir=str(tmp_path))


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match="does not exist"):
        make(swagger_ui_template_dir=str(tmp_path / "absent"))


def test_options_of_another_type_are_refused():
    with pytest.raises(ValueError, match="SwaggerUIOptions"):
        Pages().add_api(Document.load(DOCUMENT), {"swagger_ui": False})
