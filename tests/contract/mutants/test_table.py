"""Every operation returns every status that the document lists."""

from tests.contract.mutants.exchanges import Request, Response
from tests.contract.mutants.table import render

Filled = dict[tuple[str, str], tuple[Request, Response]]


def test_every_documented_status_is_reached(document, filled: Filled, capsys) -> None:
    table = render(document, filled)

    with capsys.disabled():
        print(f"\n{table}")
    assert "HOLE" not in table
