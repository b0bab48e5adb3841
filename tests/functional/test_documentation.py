"""The documentation: the OpenAPI document and Swagger UI, without files from other hosts."""

import re

import pytest
import yaml
from starlette.testclient import TestClient

from users_api.document import OPEN, load_document


def test_the_root_redirects_to_the_documentation(client: TestClient) -> None:
    response = client.get("/")

    assert (response.status_code, response.headers["Location"]) == (307, "/ui/")


@pytest.mark.parametrize(
    ("path", "media_type"), [("/openapi.json", "application/json"), ("/openapi.yaml", "application/yaml")]
)
def test_the_document_is_served_with_the_parts_of_the_service(
    client: TestClient, path: str, media_type: str
) -> None:
    response = client.get(path)

    assert response.headers["Content-Type"] == media_type
    assert yaml.safe_load(response.text) == load_document(OPEN)


@pytest.mark.parametrize(
    "name",
    ["", "index.html", "initializer.js", "swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"],
)
def test_swagger_uis_files_are_served(client: TestClient, name: str) -> None:
    response = client.get(f"/ui/{name}")

    assert response.status_code == 200
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert "Accept-Ranges" not in response.headers


def test_the_documentation_is_compressed(client: TestClient) -> None:
    response = client.get("/ui/swagger-ui-bundle.js", headers={"Accept-Encoding": "gzip"})

    assert response.headers["Content-Encoding"] == "gzip"
    assert int(response.headers["Content-Length"]) < len(response.content) / 3


def test_everything_that_the_start_page_loads_is_served(client: TestClient) -> None:
    names = re.findall('(?:href|src)="([^/"]+)"', client.get("/ui/").text)

    assert len(names) >= 7
    assert {client.get(f"/ui/{name}").status_code for name in names} == {200}


@pytest.mark.parametrize("path", ["/ui%2f", "/ui%2Findex.html", "/ui/swagger-ui.js"])
def test_other_paths_are_not_pages(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/ui/nope", 404), ("POST", "/ui/", 405), ("POST", "/openapi.json", 405)],
)
def test_errors_of_pages_use_the_envelope(client: TestClient, method: str, path: str, status: int) -> None:
    response = client.request(method, path)

    assert response.status_code == status
    assert response.json()["status"] == "fail"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/ui/nope", "/ui/index.html/", "/ui//index.html"])
def test_an_unknown_page_is_not_found(client: TestClient, method: str, path: str) -> None:
    response = client.request(method, path)

    assert (response.status_code, response.json()["status"]) == (404, "fail")
