"""Behaviour that all paths share: errors, methods, media types and body sizes."""

import pytest
from starlette.testclient import TestClient

USER = b'{"username": "michael", "email": "hermanmu@gmail.com"}'
LIMIT = 1024 * 1024


@pytest.mark.parametrize(
    "path",
    ["/nope", "/users/", "/users/1/", "//users", "/users//1", "/ping/", "/users%2F1", "/health", "/UI/"],
)
def test_an_unknown_path_is_not_found(client: TestClient, path: str) -> None:
    response = client.get(f"http://testserver{path}")

    assert response.status_code == 404
    assert response.json() == {
        "status": "fail",
        "message": "There is nothing at this path. See /ui/ for what there is.",
    }


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/ping", "GET, HEAD"),
        ("/users", "GET, HEAD, POST"),
        ("/users/1", "DELETE, GET, HEAD, PATCH, PUT"),
        ("/users/blah", "DELETE, GET, HEAD, PATCH, PUT"),
        ("/health/live", "GET, HEAD"),
        ("/health/ready", "GET, HEAD"),
    ],
)
def test_an_unsupported_method_is_rejected_with_the_allowed_ones(
    client: TestClient, path: str, allow: str
) -> None:
    for method in {"GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"} - set(
        allow.split(", ")
    ):
        response = client.request(method, path)

        assert (response.status_code, response.headers["Allow"]) == (405, allow)
        assert response.json()["status"] == "fail"


@pytest.mark.parametrize(
    "path",
    ["/ping", "/users", "/health/live", "/health/ready", "/openapi.json", "/openapi.yaml", "/ui/", "/"],
)
def test_head_responds_like_get_without_a_body(client: TestClient, path: str) -> None:
    get, head = client.get(path), client.head(path)

    assert (head.status_code, head.content) == (get.status_code, b"")
    assert {name: head.headers[name] for name in get.headers} == dict(get.headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/xml"},
        {"Content-Type": "application/jsonp"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json; charset=bogus"},
        {"Content-Type": "application/json; profile=x"},
        {"Content-Type": "application/json, text/plain"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/users"), ("PUT", "/users/1"), ("PATCH", "/users/1")])
def test_a_body_that_is_not_json_in_utf8_is_rejected(
    client: TestClient, method: str, path: str, headers: dict[str, str]
) -> None:
    response = client.request(method, path, content=USER, headers=headers)

    assert response.status_code == 415
    assert response.json() == {
        "status": "fail",
        "message": "The request body must be application/json in UTF-8, without a content coding.",
    }


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "Application/JSON",
        'application/json; charset="UTF-8"',
        "application/json;charset=utf-8",
    ],
)
def test_equivalent_media_types_are_accepted(client: TestClient, media_type: str) -> None:
    assert client.post("/users", content=USER, headers={"Content-Type": media_type}).status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{'a': 1}",
        b"NaN",
        b'{"username": NaN}',
        b"\xef\xbb\xbf{}",
        b'"\\ud800"',
        b'{"username": "\xff"}',
        b"[" * 100_000,
        b"9" * 5000,
    ],
)
def test_malformed_json_is_rejected(client: TestClient, body: bytes) -> None:
    response = client.post("/users", content=body, headers={"Content-Type": "application/json"})

    assert response.status_code == 400
    assert response.json()["message"] == "Invalid payload."
    assert response.json()["errors"][0]["field"] == ""


@pytest.mark.parametrize("depth", [254, 255, 256, 1022, 1023, 1024, 100_000])
def test_a_deeply_nested_body_is_rejected(client: TestClient, depth: int) -> None:
    body = b'{"email": "a@example.org", "username": ' + b"[" * depth + b"]" * depth + b"}"

    response = client.post("/users", content=body, headers={"Content-Type": "application/json"})

    (error,) = response.json()["errors"]
    assert (response.status_code, error["field"]) == (400, "username" if depth < 256 else "")


def test_a_payload_of_more_than_1000_properties_has_one_error(client: TestClient) -> None:
    names = {f"name{number}": 0 for number in range(1_000)}

    reported, rejected = (
        client.patch("/users/1", json=names),
        client.patch("/users/1", json=names | {"one": 0}),
    )

    assert [error["field"] for error in reported.json()["errors"]] == list(names)[:100]
    assert rejected.json()["errors"] == [
        {"field": "", "message": "must have 1000 or fewer items and properties"}
    ]


def test_duplicate_names_in_a_deeply_nested_body_are_rejected(client: TestClient) -> None:
    body = (
        b'{"username": ' + b"[" * 1000 + b"]" * 1000 + b', "username": "michael", "email": "a@example.org"}'
    )

    response = client.post("/users", content=body, headers={"Content-Type": "application/json"})

    assert response.status_code == 400


def test_a_body_of_one_mebibyte_is_accepted(client: TestClient) -> None:
    response = client.post("/users", content=USER.ljust(LIMIT), headers={"Content-Type": "application/json"})

    assert response.status_code == 201


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/users"), ("PUT", "/users/1"), ("GET", "/users"), ("DELETE", "/users/1")]
)
def test_a_larger_body_is_rejected(client: TestClient, method: str, path: str, *, chunked: bool) -> None:
    body = USER.ljust(LIMIT + 1)

    response = client.request(
        method,
        path,
        content=iter([body[:LIMIT], body[LIMIT:]]) if chunked else body,
        headers={"Content-Type": "application/json"},
    )

    assert response.status_code == 413
    assert response.json() == {"status": "fail", "message": "The request body must not be larger than 1 MiB."}


def test_an_unexpected_body_is_ignored(client: TestClient) -> None:
    assert client.request("GET", "/ping", content=b"\xff").status_code == 200
