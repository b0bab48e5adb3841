"""Paths: concrete before templated, text around parameters, several parameters, encoded slashes, 404, 405."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from tests.engine.programs import operation, path_parameter, program
from users_api.engine.failures import DocumentError
from users_api.engine.routing import Node

ID = path_parameter("id", type="integer")
NAME = path_parameter("name")
PATHS = {
    "/": {"get": operation("top")},
    "/things": {"get": operation("things"), "post": operation("make")},
    "/things/{id}": {"get": operation("thing", ID), "delete": operation("remove", ID)},
    "/things/newest": {"get": operation("newest")},
    "/things/{id}/parts/{name}": {
        "get": operation("part", ID, NAME),
        "head": operation("part_head", ID, NAME),
    },
    "/files/{name}.{kind}": {"get": operation("file", NAME, path_parameter("kind"))},
    "/files/report-{name}": {"get": operation("report", NAME)},
    "/files/{name}": {"get": operation("any_file", NAME), "put": operation("put_file", NAME)},
    "/flags/{flag}": {"get": operation("flag", path_parameter("flag", type="boolean"))},
    "/tree/{where}/end": {"get": operation("tree", path_parameter("where", type="string", format="path"))},
}


def echo(operation_id: str) -> Any:
    """Return a handler that returns its name and arguments."""

    def handler(**arguments: Any) -> dict[str, Any]:
        return {"operation": operation_id, **arguments}

    handler.__name__ = operation_id
    return handler


OPERATIONS = [each["operationId"] for item in PATHS.values() for each in item.values()]


@pytest.fixture(scope="module")
def client() -> TestClient:
    return program(PATHS, *map(echo, OPERATIONS)).test_client()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", {"operation": "top"}),
        ("/things", {"operation": "things"}),
        ("/%74hings", {"operation": "things"}),
        ("/things/7", {"operation": "thing", "id": 7}),
        ("/things/newest", {"operation": "newest"}),
        ("/things/7/parts/left%20wing", {"operation": "part", "id": 7, "name": "left wing"}),
        ("/things/7/parts/a%2Fb", {"operation": "part", "id": 7, "name": "a/b"}),
        ("/files/photo.jpg", {"operation": "file", "name": "photo", "kind": "jpg"}),
        ("/files/photo.tar.gz", {"operation": "file", "name": "photo.tar", "kind": "gz"}),
        ("/files/report-2026", {"operation": "report", "name": "2026"}),
        ("/files/readme", {"operation": "any_file", "name": "readme"}),
        ("/files/%C3%A9", {"operation": "any_file", "name": "é"}),
        ("/flags/true", {"operation": "flag", "flag": True}),
        ("/tree/a/b/c/end", {"operation": "tree", "where": "a/b/c"}),
    ],
)
def test_the_most_literal_path_is_served(client: TestClient, path: str, expected: dict[str, Any]) -> None:
    assert client.get(path).json() == expected


@pytest.fixture(scope="module")
def strict_client() -> TestClient:
    return program(PATHS, *map(echo, OPERATIONS), strict_validation=True).test_client(follow_redirects=False)


@pytest.mark.parametrize(
    "path", ["/nowhere", "/things/", "/things//", "/things//parts/x", "/things/1%2F2", "/files/"]
)
def test_any_other_path_is_not_found(strict_client: TestClient, path: str) -> None:
    response = strict_client.get(path)

    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/things", "GET, HEAD, POST"),
        ("PUT", "/things/7", "DELETE, GET, HEAD"),
        ("POST", "/things/newest", "GET, HEAD"),
        ("DELETE", "/things/newest", "GET, HEAD"),
        ("OPTIONS", "/", "GET, HEAD"),
    ],
)
def test_another_method_is_not_allowed(client: TestClient, method: str, path: str, allow: str) -> None:
    response = client.request(method, path)

    assert (response.status_code, response.headers["Allow"]) == (405, allow)


def test_a_templated_path_serves_methods_that_the_literal_path_lacks(client: TestClient) -> None:
    assert client.delete("/things/12").json() == {"operation": "remove", "id": 12}
    assert client.put("/files/report-7").json() == {"operation": "put_file", "name": "report-7"}


def test_head_is_that_of_get_unless_the_document_has_its_own(client: TestClient) -> None:
    assert client.head("/things").status_code == 200
    assert client.head("/things/7/parts/x").status_code == 200


def test_the_root_path_is_stripped(client: TestClient) -> None:
    prefixed = TestClient(client.app, root_path="/behind")

    assert prefixed.get("/behind/things/7").json() == {"operation": "thing", "id": 7}
    assert prefixed.get("/behind/things/7/parts/a%20b").json()["name"] == "a b"


def test_two_paths_of_one_shape_are_refused_at_startup() -> None:
    paths = {"/a/{id}": {"get": operation("first", ID)}, "/a/{name}": {"get": operation("second", NAME)}}

    with pytest.raises(
        DocumentError,
        match=r"#/paths/~1a~1\{name\}/get: the path /a/\{name\} matches the same requests as /a/\{id\}",
    ):
        program(paths, echo("first"), echo("second")).build()


def test_two_paths_of_one_shape_may_have_different_methods() -> None:
    paths = {"/a/{id}": {"get": operation("first", ID)}, "/a/{name}": {"put": operation("second", NAME)}}
    client = program(paths, echo("first"), echo("second")).test_client()

    assert client.get("/a/7").json() == {"operation": "first", "id": 7}
    assert client.put("/a/7").json() == {"operation": "second", "name": "7"}


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/things/?a=1", "http://testserver/things?a=1"),
        ("/files/%C3%A9/", "http://testserver/files/%C3%A9"),
        ("/nowhere/", None),
        ("/nowhere", None),
    ],
)
def test_a_slash_too_many_redirects_unless_strict(
    client: TestClient, path: str, location: str | None
) -> None:
    response = client.get(path, follow_redirects=False)

    assert (response.status_code, response.headers.get("Location")) == (307 if location else 404, location)


def test_a_missing_slash_redirects_too() -> None:
    client = program({"/a/": {"get": operation("first")}}, echo("first")).test_client()

    assert client.get("/a").json() == {"operation": "first"}


@pytest.mark.parametrize(
    ("text", "value"),
    [("+7", 7), ("007", 7), ("-0", 0), ("%2B7", 7), ("x", None), ("1.5", None)],
)
def test_whole_numbers_in_paths_are_read_as_connexions_router_reads_them(
    client: TestClient, text: str, value: int | None
) -> None:
    response = client.get(f"/things/{text}")

    assert response.json().get("id") == value
    assert response.status_code == (404 if value is None else 200)


@pytest.mark.parametrize(
    ("text", "value"), [("1.", 1.0), (".5", 0.5), ("+1.50", 1.5), ("1e2", 100.0), (".", None)]
)
def test_floats_in_paths_are_read_as_in_connexion(text: str, value: float | None) -> None:
    paths = {"/n/{x}": {"get": operation("first", path_parameter("x", type="number"))}}
    client = program(paths, echo("first")).test_client()

    assert client.get(f"/n/{text}").json().get("x") == value


@pytest.mark.parametrize("text", ["+7", "007", "-0"])
def test_strict_numbers_are_those_of_json(strict_client: TestClient, text: str) -> None:
    assert strict_client.get(f"/things/{text}").status_code == 404


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("pet-id", "pet_id"),
        ("a.b", "ab"),
        ("1x", "x"),
        ("a b", "ab"),
        ("a[b]", "a_b"),
        ("a:b", "ab"),
        ("a+b", "ab"),
    ],
)
def test_a_parameter_may_have_any_name(name: str, argument: str) -> None:
    paths = {f"/pets/{{{name}}}": {"get": operation("pet", path_parameter(name, type="integer"))}}
    client = program(paths, echo("pet")).test_client()

    assert client.get("/pets/7").json() == {"operation": "pet", argument: 7}


@pytest.mark.parametrize("reverse", [False, True])
def test_the_order_of_paths_in_the_document_does_not_matter(*, reverse: bool) -> None:
    paths = {
        "/x/{id}": {"get": operation("one", ID)},
        "/x/{name}.json": {"get": operation("file", NAME)},
        "/x/{id}/y": {"get": operation("below", ID)},
        "/x/new": {"put": operation("new")},
    }
    ordered = dict(reversed(paths.items())) if reverse else paths
    client = program(ordered, *map(echo, ("one", "file", "below", "new"))).test_client()

    assert client.get("/x/7").json() == {"operation": "one", "id": 7}
    assert client.get("/x/7.json").json() == {"operation": "file", "name": "7"}
    assert client.get("/x/7/y").json() == {"operation": "below", "id": 7}
    assert client.get("/x/new").status_code == 405


def test_names_that_differ_in_punctuation_stay_apart() -> None:
    both = path_parameter("a.b"), path_parameter("a_b")
    paths = {"/pairs/{a.b}/{a_b}": {"get": operation("pair", *both)}}
    client = program(paths, echo("pair")).test_client()

    assert client.get("/pairs/1/2").json() == {"operation": "pair", "ab": "1", "a_b": "2"}


def test_a_query_is_rejected_where_there_are_no_parameters() -> None:
    client = program(
        {"/plain": {"get": operation("plain")}}, echo("plain"), strict_validation=True
    ).test_client()

    assert client.get("/plain").json() == {"operation": "plain"}
    assert client.get("/plain?unknown=1").status_code == 400


@pytest.mark.parametrize(
    ("template", "segment", "texts"),
    [
        ("{a}.{b}", "x.y.z", {"a": "x.y", "b": "z"}),
        ("{a}.{b}", ".", None),
        ("{a}.{b}", "x.", None),
        ("{a}.{b}", ".x", None),
        ("{a}.{b}", "..x", {"a": ".", "b": "x"}),
        ("{a}.{b}", "", None),
        ("{a}{b}", "xyz", {"a": "xy", "b": "z"}),
        ("{a}{b}", "x", None),
        ("{a}-{b}-{c}", "1-2-3-4", {"a": "1-2", "b": "3", "c": "4"}),
        ("{a}--{b}", "1---2", {"a": "1-", "b": "2"}),
        ("v{a}", "v", None),
        ("v{a}v", "v", None),
        ("v{a}v", "vv", None),
        ("v{a}v", "vxv", {"a": "x"}),
        ("v{a}v", "xv", None),
        ("{a}", "x", {"a": "x"}),
        ("{a}", "", None),
    ],
)
def test_the_parameters_of_a_segment_are_found(template, segment, texts):
    node = Node()
    node.child(template)
    (pattern,) = node.patterns

    assert pattern.match(segment) == texts


@given(
    st.text("a.-", max_size=8),
    st.sampled_from(["{a}.{b}", "{a}{b}", "{a}.-{b}-{c}", "a{a}.{b}a", "{a}--{b}."]),
)
def test_the_parameters_of_a_segment_are_those_of_a_regular_expression(segment, template):
    node = Node()
    node.child(template)
    (pattern,) = node.patterns
    expression = "([^/]+)".join(map(re.escape, pattern.literals))

    found = re.fullmatch(expression, segment)

    assert pattern.match(segment) == (found and dict(zip(pattern.names, found.groups(), strict=True)))


def test_two_parameters_of_format_path_in_one_path_are_refused():
    where = [path_parameter(name, type="string", format="path") for name in ("a", "b")]

    with pytest.raises(DocumentError, match="keep the format of one of them"):
        program({"/{a}/x/{b}/y": {"get": operation("both", *where)}}, echo("both")).build()


def test_a_path_with_several_parameters_and_one_of_format_path_has_a_longest_length():
    parameters = [path_parameter("a", type="string", format="path"), path_parameter("b")]
    client = program({"/{a}/x/{b}": {"get": operation("both", *parameters)}}, echo("both")).test_client()

    short, long = (client.get(f"/{'x/' * count}x/1") for count in (900, 1_100))

    assert (short.status_code, long.status_code) == (200, 404)
