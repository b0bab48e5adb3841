"""The pages for people: the document and Swagger UI, from this host alone."""

import pytest
import yaml
from starlette.testclient import TestClient

from users_api.http.document import document_path


def test_the_root_leads_to_the_documentation(client: TestClient) -> None:
    answer = client.get("/")

    assert (answer.status_code, answer.headers["Location"]) == (307, "/ui/")


@pytest.mark.parametrize(("path", "media_type"), [("/openapi.json", "application/json"), ("/openapi.yaml", "application/yaml")])
def test_the_document_is_given_as_it_is(client: TestClient, path: str, media_type: str) -> None:
    answer = client.get(path)

    assert answer.headers["Content-Type"] == media_type
    assert yaml.safe_load(answer.text) == yaml.safe_load(document_path().read_text())


@pytest.mark.parametrize(
    "name", ["", "index.html", "initializer.js", "swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"]
)
def test_the_page_has_its_own_files(client: TestClient, name: str) -> None:
    answer = client.get(f"/ui/{name}")

    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "Accept-Ranges" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/ui/nope", 404), ("POST", "/ui/", 405), ("POST", "/openapi.json", 405)]
)
def test_a_failure_there_is_in_the_envelope_too(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)

    assert answer.status_code == status
    assert answer.json()["status"] == "fail"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/ui/nope", "/ui/index.html/", "/ui//index.html"])
def test_what_is_no_page_is_not_found(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, path)

    assert (answer.status_code, answer.json()["status"]) == (404, "fail")
