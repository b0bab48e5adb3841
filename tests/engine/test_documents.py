"""Typical OpenAPI documents compile, and their example requests get the documented responses."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from tests.support.documents import NAMES, load, requests_of, serve

MODES = {"strict": True, "lenient": False}


@pytest.fixture(scope="module", params=[(name, mode) for name in NAMES for mode in MODES], ids="-".join)
def served(request: pytest.FixtureRequest) -> Iterator[tuple[str, str, TestClient]]:
    """The name of a document, the mode, and a client of the application."""
    name, mode = request.param
    app = serve(name, strict_validation=MODES[mode], validate_responses=True)
    with app.test_client(base_url="http://testserver", follow_redirects=False) as client:
        yield name, mode, client


def test_there_are_documents_of_many_kinds():
    assert len(NAMES) >= 12


def test_example_requests_get_the_documented_responses(served: tuple[str, str, TestClient]):
    name, mode, client = served

    requests = list(requests_of(load(name)))
    answers = [
        (sent, client.request(sent.method, sent.target, headers=sent.headers, content=sent.body))
        for sent in requests
    ]

    wanted = [(sent.name, sent.lenient if mode == "lenient" else sent.status) for sent, _ in answers]
    assert [(sent.name, answer.status_code) for sent, answer in answers] == wanted
    same = [
        (sent, answer)
        for (sent, answer), (_, status) in zip(answers, wanted, strict=True)
        if status == sent.status
    ]
    told = [(sent, answer) for sent, answer in same if sent.answer is not None]
    assert [(sent.name, answer.json()) for sent, answer in told] == [
        (sent.name, sent.answer) for sent, _ in told
    ]


def test_every_operation_of_a_document_has_requests():
    for name in NAMES:
        assert [
            node.pointer for node in load(name).operations() if not node.operation.get("x-requests")
        ] == []


def test_two_documents_are_served_by_one_application_below_their_base_paths():
    app = serve("regions", "staff", strict_validation=True, validate_responses=True)

    with app.test_client(base_url="http://testserver") as client:
        answers = [
            client.get(path) for path in ("/v2/europe/cities/7", "/staff/cities/7", "/cities/7", "/staff/")
        ]

    assert [answer.status_code for answer in answers] == [200, 200, 404, 404]
    assert answers[0].json() == {"path": "/v2/europe/cities/7"}
    assert answers[1].json() == 7
