"""Documents are loaded, and checked before anything is compiled from them."""

import gc
from copy import deepcopy
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from connexion.spec import Specification

from users_api.engine.document import Document
from users_api.engine.failures import DocumentError

OWN_DOCUMENT = Path(__file__).parents[2] / "openapi" / "users.yaml"
TEXT = {"schema": {"type": "string"}}
RESPONSES = {"200": {"description": "OK"}}
HEAD = 'openapi: "3.0.3"\ninfo: {title: T, version: "1"}\n'


def make(
    operation: dict[str, Any] | None = None, path: str = "/a", item: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """Return a document with one operation."""
    get = {"get": {"responses": RESPONSES, **(operation or {})}}
    return {
        "openapi": "3.0.3",
        "info": {"title": "T", "version": "1"},
        "paths": {path: {**get, **(item or {})}},
        **more,
    }


def with_parameters(*parameters: dict[str, Any], path: str = "/a") -> dict[str, Any]:
    return make({"parameters": list(parameters)}, path)


def with_schemas(**schemas: Any) -> dict[str, Any]:
    return make(components={"schemas": schemas})


def respond(schema: dict[str, Any]) -> dict[str, Any]:
    return {"200": {"description": "OK", "content": {"application/json": {"schema": schema}}}}


def message(specification: Any, **options: Any) -> str:
    with pytest.raises(DocumentError) as caught:
        Document.load(specification, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_document_equals_its_yaml():
    document = Document.load(OWN_DOCUMENT)

    assert document.root == yaml.safe_load(OWN_DOCUMENT.read_bytes())
    assert document.source == OWN_DOCUMENT.read_bytes()
    assert [node.operation["operationId"] for node in document.operations()][:3] == [
        "ping",
        "list_users",
        "create_user",
    ]


def test_a_dict_is_copied_and_left_alone():
    given = make()
    before = deepcopy(given)

    document = Document.load(given)
    document.root["info"]["title"] = "changed"

    assert given == before
    assert document.source is None


def test_a_path_may_be_a_string_and_relative(folder, monkeypatch):
    monkeypatch.chdir(folder(api=f"{HEAD}paths: {{}}\n"))

    assert Document.load("api.yaml").root == {**make(), "paths": {}}


def test_a_missing_file_raises_oserror(tmp_path):
    with pytest.raises(FileNotFoundError):
        Document.load(tmp_path / "absent.yaml")


def test_keys_become_strings():
    document = Document.load(make({"responses": {200: {"description": "OK"}}}))

    (node,) = document.operations()
    assert node.operation["responses"] == RESPONSES


def test_yaml_1_1_booleans_and_dates_stay_strings(folder):
    strings = "no, off, yes, y, 18:00, 2026-11-27, 1_000, .inf, '5', =, a"
    values = f"{strings}, 0o17, 010, 0x1F, 1e3, -2, +.5, ~, null, True, false"
    extensions = f"x-values: [{values}]\nx-keys: {{no: 1, on: 2, 200: 3, true: 4, null: 5}}\n"

    root = Document.load(folder(api=f"{HEAD}paths: {{}}\n{extensions}") / "api.yaml").root

    assert root["x-values"] == [
        *("no", "off", "yes", "y", "18:00", "2026-11-27", "1_000", ".inf", "5", "=", "a"),
        *(15, 10, 31, 1000.0, -2, 0.5, None, None, True, False),
    ]
    assert root["x-keys"] == {"no": 1, "on": 2, "200": 3, "true": 4, "null": 5}


def test_yaml_merges_mappings(folder):
    extensions = """
x-base: &base {a: 1, b: 1}
x-other: &other {b: 2, c: 2}
x-one: {<<: *base, b: 3}
x-two: {c: 3, <<: [*base, *other]}
x-empty:
"""

    root = Document.load(folder(api=f"{HEAD}paths: {{}}\n{extensions}") / "api.yaml").root

    assert root["x-one"] == {"a": 1, "b": 3}
    assert root["x-two"] == {"a": 1, "b": 1, "c": 3}
    assert root["x-empty"] is None


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a: [1\nb: 2\n", ":2: did not find expected ',' or ']'"),
        ("a: 1\nb: 2\na: 3\n", ":3: the key 'a' is repeated in one mapping"),
        ('200: 1\n"200": 2\n', ":2: the key '200' is repeated in one mapping"),
        ("a: 1\n--- \nb: 1\n", ":2: but found another document"),
        ("a: !custom {}\n", ":1: the tag !custom has no equivalent in JSON"),
        ("a: !custom []\n", ":1: the tag !custom has no equivalent in JSON"),
        ("a: !!int x\n", ":1: 'x' with the tag tag:yaml.org,2002:int is not a JSON value"),
        ("a: !custom x\n", ":1: 'x' with the tag !custom is not a JSON value"),
        ("a: 1e999\n", ":1: '1e999' with the tag tag:yaml.org,2002:float is not a JSON value"),
        ("a: {{b}: 1}\n", ":1: a key must be a string; quote it"),
        ("a:\n  <<: 5\n", ":2: only a mapping can be merged"),
        ("a: \x00\n", ": unacceptable character"),
        ("", ": the document is not a mapping; begin with openapi: 3.0.3"),
        ("- a\n", ": the document is not a mapping; begin with openapi: 3.0.3"),
    ],
)
def test_a_fault_of_yaml_is_reported_with_file_and_line(text, error, folder):
    path = folder(api=text) / "api.yaml"

    assert message(path).startswith(f"{path}{error}")


def test_bytes_that_are_not_utf8_are_rejected(tmp_path):
    path = tmp_path / "api.yaml"
    path.write_bytes(b"a: \xff\n")

    assert message(path).startswith(f"{path}: ")
    assert message(path, arguments={"a": 1}).startswith(f"{path}: 'utf-8' codec can't decode")


def test_an_alias_to_itself_is_refused(folder):
    path = folder(api="a: &a\n  b: *a\n") / "api.yaml"

    assert message(path) == "#: the document is nested too deeply, or contains itself"


def test_arguments_make_a_file_a_template(folder):
    path = folder(api=HEAD + 'paths: {}\nx-title: "{{ title }}"\n') / "api.yaml"

    assert Document.load(path, arguments={"title": "Kings"}).root["x-title"] == "Kings"
    assert Document.load(path).root["x-title"] == "{{ title }}"


def test_a_pattern_that_resembles_a_template_is_harmless_without_arguments(folder):
    path = folder(api=HEAD + 'paths: {}\nx-pattern: "{% a"\n') / "api.yaml"

    assert Document.load(path).root["x-pattern"] == "{% a"
    assert message(path, arguments={"a": 1}) == f"{path}:4: Encountered unknown tag 'a'. (Jinja2)"


def test_an_invalid_template_is_rejected(folder):
    path = folder(api=HEAD + 'paths: {}\nx-a: "{{ a.b.c }}"\n') / "api.yaml"

    assert message(path, arguments={"a": 1}) == f"{path}: 'int object' has no attribute 'b'"


def test_dates_of_a_dict_become_texts():
    moment = datetime(2026, 11, 27, 9, 30, tzinfo=UTC)
    values = {"x-values": [date(2026, 11, 27), moment, moment.replace(tzinfo=None), (1, 1.5, None, True)]}

    assert Document.load(make(**values)).root["x-values"] == [
        "2026-11-27",
        "2026-11-27T09:30:00+00:00",
        "2026-11-27T09:30:00Z",
        [1, 1.5, None, True],
    ]


@pytest.mark.parametrize("value", [b"", float("inf"), {1}])
def test_a_dict_with_other_values_than_those_of_json_is_refused(value):
    assert message(make(**{"x-a": {"b/c": [value]}})) == f"#/x-a/b~1c/0: {value!r} is not a JSON value"


def test_an_address_is_loaded(site, folder):
    folder(api=f"{HEAD}paths: {{}}\nx-a: no\n")

    document = Document.load(f"{site}/api.yaml", arguments={"never": "rendered"})

    assert document.root["x-a"] == "no"
    with pytest.raises(OSError, match="404"):
        Document.load(f"{site}/absent.yaml")


@pytest.mark.parametrize("enabled", [True, False])
def test_loading_leaves_the_garbage_collector_as_it_was(enabled, monkeypatch):
    switched: list[bool] = []
    monkeypatch.setattr(gc, "isenabled", lambda: enabled)
    monkeypatch.setattr(gc, "disable", lambda: switched.append(False))
    monkeypatch.setattr(gc, "enable", lambda: switched.append(True))

    Document.load(make())
    message({})

    assert switched == ([False, True] * 2 if enabled else [False] * 2)


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (
            {"swagger": "2.0"},
            "#: Swagger 2.0 is not supported; convert the document with swagger2openapi",
        ),
        ({}, '#: OpenAPI without a version is not supported; write openapi: "3.0.3"'),
        ({"openapi": "3.1.0"}, '#: OpenAPI 3.1.0 is not supported; write openapi: "3.0.3"'),
        ({"openapi": 3.1}, '#: OpenAPI 3.1 is not supported; write openapi: "3.0.3"'),
        ({"openapi": 3.0}, '#: OpenAPI 3.0 is not supported; write openapi: "3.0.3"'),
        (make(info={}), '#/info: "title" is a required property'),
        (make(paths=5), '#/paths: the value is not of type "object"'),
        (make(components=5), '#/components: the value is not of type "object"'),
        (make(path="a"), "#/paths/a: a path must begin with a slash; write /a"),
        (make(more=1), "#: Additional properties are not allowed ('more' was unexpected)"),
        (
            make({"responses": {"200": {}}}),
            '#/paths/~1a/get/responses/200: "description" is a required property',
        ),
        (
            with_schemas(**{"a b": {}}),
            (
                "#/components/schemas/a b: "
                "the name of a component must consist of letters, digits, '.', '-' and '_'"
            ),
        ),
        (
            with_schemas(A={"properties": {"b": {"minimum": "3"}}}),
            '#/components/schemas/A/properties/b/minimum: the value is not of type "number"',
        ),
        (
            with_parameters({"name": "x", "in": "query", "schema": {"type": "str"}}),
            (
                "#/paths/~1a/get/parameters/0/schema/type: must be one of "
                '"array", "boolean", "integer", "number", "object", "string", not "str"'
            ),
        ),
        (
            with_parameters({"name": "x", "in": "body", **TEXT}),
            '#/paths/~1a/get/parameters/0/in: OpenAPI 3.0 does not know "body"',
        ),
        (
            with_parameters({"name": "x", "in": "path", **TEXT}, path="/{x}"),
            '#/paths/~1{x}/get/parameters/0: "required" is a required property',
        ),
        (
            with_parameters({"name": "x", "in": "query", "style": "simple", **TEXT}),
            (
                "#/paths/~1a/get/parameters/0/style: must be one of "
                '"form", "spaceDelimited", "pipeDelimited", "deepObject", not "simple"'
            ),
        ),
        (
            make(components={"securitySchemes": {"k": {"type": "apiKey", "in": "query"}}}),
            '#/components/securitySchemes/k: "name" is a required property',
        ),
        (
            make(components={"securitySchemes": {"k": {"type": "password"}}}),
            '#/components/securitySchemes/k/type: OpenAPI 3.0 does not know "password"',
        ),
        (
            make(components={"securitySchemes": {"k": {"type": "http"}}}),
            '#/components/securitySchemes/k: "scheme" is a required property',
        ),
    ],
)
def test_an_invalid_document_is_rejected_with_the_most_specific_pointer(document, error):
    assert message(document) == error


def test_an_operation_s_parameters_override_those_of_the_path():
    own = {"name": "a", "in": "query", "required": True, **TEXT}
    header = {"name": "X-A", "in": "header", **TEXT}
    document = Document.load(
        make(
            {
                "parameters": [
                    {"$ref": "#/components/parameters/A"},
                    {**header, "name": "x-a", "required": True},
                ]
            },
            item={
                "parameters": [
                    {"name": "b", "in": "query", **TEXT},
                    {"name": "a", "in": "query", **TEXT},
                    header,
                ]
            },
            components={"parameters": {"A": own}},
        )
    )

    (node,) = document.operations()

    assert node.parameters == [
        ({"name": "b", "in": "query", **TEXT}, "#/paths/~1a/parameters/0"),
        (own, "#/components/parameters/A"),
        ({**header, "name": "x-a", "required": True}, "#/paths/~1a/get/parameters/1"),
    ]


def test_extensions_are_not_operations():
    methods = ["get", "put", "post", "delete", "options", "head", "patch", "trace"]
    item = {method: {"responses": RESPONSES} for method in reversed(methods)} | {"x-a": {}, "summary": "s"}
    document = Document.load({**make(), "paths": {"/a": item, "x-paths": {"get": 5}}})

    assert [(node.path, node.method, node.pointer) for node in document.operations()] == [
        ("/a", method, f"#/paths/~1a/{method}") for method in methods
    ]


@pytest.mark.parametrize(
    ("own", "everywhere", "effective"),
    [
        (None, None, None),
        (None, [{"k": []}], [{"k": []}]),
        ([], [{"k": []}], []),
        ([{"l": []}, {}], [{"k": []}], [{"l": []}, {}]),
    ],
)
def test_an_operation_s_security_overrides_the_document_s(own, everywhere, effective):
    scheme = {"type": "http", "scheme": "bearer"}
    document = make(
        {} if own is None else {"security": own}, components={"securitySchemes": {"k": scheme, "l": scheme}}
    )

    (node,) = Document.load(
        document if everywhere is None else {**document, "security": everywhere}
    ).operations()

    assert node.security == effective


def test_callbacks_are_checked_but_are_no_operations():
    item = {"post": {"operationId": "called", "responses": {"200": {"$ref": "#/components/responses/A"}}}}
    document = make(
        {"callbacks": {"event": {"{$request.body#/url}": item}}},
        components={"responses": {"A": RESPONSES["200"]}},
    )

    assert len(list(Document.load(document).operations())) == 1
    del document["components"]
    assert message(document).endswith("#/components/responses/A points nowhere")


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (
            make(path="/a/{id}"),
            (
                "#/paths/~1a~1{id}/get: no path parameter declares {id} of /a/{id}; "
                "add a parameter with name: id, in: path, required: true and a schema"
            ),
        ),
        (
            with_parameters({"name": "id", "in": "path", "required": True, **TEXT}),
            (
                "#/paths/~1a/get/parameters/0: "
                "the path /a has no {id}; write {id} in the path or remove the parameter"
            ),
        ),
        (
            make(path="/a/{id"),
            "#/paths/~1a~1{id/get: the path /a/{id has an unpaired brace or a repeated name",
        ),
        (make(path="/{}"), "#/paths/~1{}/get: the path /{} has an unpaired brace or a repeated name"),
        (
            make(path="/{a}/{a}"),
            "#/paths/~1{a}~1{a}/get: the path /{a}/{a} has an unpaired brace or a repeated name",
        ),
        (
            with_parameters({"name": "a", "in": "query", **TEXT}, {"name": "a", "in": "query", "schema": {}}),
            "#/paths/~1a/get/parameters/1: the query parameter a is declared twice; remove one of them",
        ),
        (
            with_parameters({"name": "X", "in": "header", **TEXT}, {"name": "x", "in": "header", **TEXT}),
            "#/paths/~1a/get/parameters/1: the header parameter x is declared twice; remove one of them",
        ),
        (
            make({"operationId": "a"}, item={"post": {"operationId": "a", "responses": RESPONSES}}),
            "#/paths/~1a/post/operationId: a is the operationId of get /a and of post /a; rename one of them",
        ),
        (
            {**make({"operationId": "a"}), "x-item": {"get": {"operationId": "b", "responses": RESPONSES}}}
            | {"paths": {"/a": {"$ref": "#/x-item"}, "/b": {"$ref": "#/x-item"}}},
            "#/x-item/get/operationId: b is the operationId of get /a and of get /b; rename one of them",
        ),
        (
            make(security=[{}, {"k": []}]),
            "#/security/1: no security scheme is named k; declare it in components.securitySchemes",
        ),
        (
            make({"security": [{"k": []}]}),
            (
                "#/paths/~1a/get/security/0: "
                "no security scheme is named k; declare it in components.securitySchemes"
            ),
        ),
        (
            make({"servers": [{"url": "https://example.org/v2"}]}, servers=[{"url": "/v1"}]),
            (
                "#/paths/~1a/get/servers/0: the base path here is /v2, that of the document is /v1; "
                "remove servers here, and write the difference into the path"
            ),
        ),
        (
            make(item={"servers": [{"url": "/"}, {"url": "/v2/"}]}),
            (
                "#/paths/~1a/servers/1: the base path here is /v2, that of the document is /; "
                "remove servers here, and write the difference into the path"
            ),
        ),
        (
            make(servers=[{"url": "https://{a}/"}]),
            "#/servers: the server variable a has no default; declare it in variables",
        ),
        (make(servers=[{"url": "v1"}]), "#/servers: the base path v1 is relative; write /v1"),
    ],
)
def test_an_inconsistent_operation_is_refused(document, error):
    assert message(document) == error


def test_servers_of_an_operation_with_the_same_base_path_are_allowed():
    document = make({"servers": [{"url": "https://a.example/v1"}]}, servers=[{"url": "/v1/"}])

    assert len(list(Document.load(document).operations())) == 1


@pytest.mark.parametrize(
    "servers",
    [
        [],
        [{"url": "/"}],
        [{"url": "/v1/"}, {"url": "/v2"}],
        [{"url": "https://example.org"}],
        [{"url": "https://example.org:8080/a/b/"}],
        [
            {
                "url": "https://{host}/{version}/",
                "variables": {
                    "host": {"default": "example.org"},
                    "version": {"default": "v3", "enum": ["v3"]},
                },
            }
        ],
    ],
)
def test_the_base_path_is_that_of_connexion(servers):
    document = make(servers=servers)

    assert Document.load(document).base_path == Specification.load(deepcopy(document)).base_path


def test_another_base_path_replaces_the_servers(folder):
    document = Document.load(folder(api=HEAD + "servers: [{url: /v1}]\npaths: {}") / "api.yaml")
    document.base_path = "/v1/"
    assert document.source is not None

    document.base_path = "/v2/"

    assert document.base_path == "/v2"
    assert document.source is None
    assert document.root == {**make(), "servers": [{"url": "/v2"}], "paths": {}}
    assert document.with_base_path("/proxy/v2")["servers"] == [{"url": "/proxy/v2"}]
    with pytest.raises(DocumentError, match="#/servers: the base path v3 is relative; write /v3"):
        document.base_path = "v3"
