"""Every operation returns every status that the document lists, as the document describes it."""

from collections.abc import Iterator
from typing import Any

from tests.contract.mutants.exchanges import Request, Response
from tests.contract.mutants.resolution import resolved
from tests.contract.mutants.table import operations, render
from tests.contract.mutants.verdicts import compiled

Filled = dict[tuple[str, str], tuple[Request, Response]]


def test_every_documented_status_is_reached(document, filled: Filled, capsys) -> None:
    table = render(document, filled)

    with capsys.disabled():
        print(f"\n{table}")
    assert "HOLE" not in table


def test_every_documented_status_is_reached_with_tokens(
    secured_document, secured_filled: Filled, capsys
) -> None:
    table = render(resolved(secured_document), secured_filled)

    with capsys.disabled():
        print(f"\n{table}")
    assert "HOLE" not in table


def test_every_response_with_tokens_is_as_documented(secured_document, secured_filled: Filled) -> None:
    named = dict(operations(resolved(secured_document)))

    found = {
        (name, status): list(complaints(named[name]["responses"][status], answer))
        for (name, status), (_, answer) in secured_filled.items()
    }

    assert {cell: wrong for cell, wrong in found.items() if wrong} == {}


def complaints(response: Any, answer: Response) -> Iterator[str]:
    """Yield each difference between a documented response and a received one."""
    for media_type, content in response.get("content", {}).items():
        if answer.headers["content-type"].partition(";")[0] != media_type:
            yield answer.headers["content-type"]
        body = answer.body.decode() if media_type == "text/plain" else answer.json()
        if not compiled(content["schema"]).is_valid(body):
            yield f"the body {body}"
    for name, header in response.get("headers", {}).items():
        if not compiled(header["schema"]).is_valid(answer.headers.get(name.lower(), "")):
            yield f"the header {name}"
