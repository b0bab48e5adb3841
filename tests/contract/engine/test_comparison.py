"""The same requests go to the engine and to stock Connexion; each difference has a row in the table."""

import logging
from collections import Counter

import pytest
from starlette.testclient import TestClient

from tests.contract.engine.comparing import ComparingApp, Pair
from tests.contract.engine.deviations import TABLE, rows
from tests.contract.engine.fuzzing import fuzz
from tests.contract.engine.stock import comparable
from tests.support.documents import NAMES, load, requests_of

pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"  # Stock Connexion does not close the files of forms.
)
EXAMPLES = 4
FEWEST = 2000
SHOWN = 10


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    """Every request with both outcomes: the examples of the documents, and those of Schemathesis."""
    logging.disable()
    try:
        return [pair for name in NAMES for pair in pairs_of(name)]
    finally:
        logging.disable(logging.NOTSET)


def pairs_of(name: str) -> list[Pair]:
    both = ComparingApp(name)
    with TestClient(both, base_url="http://testserver", follow_redirects=False) as client:
        for sent in requests_of(load(name)):
            client.request(sent.method, sent.target, headers=sent.headers, content=sent.body)
    for _ in fuzz(comparable(name), both, stateful=False, checks="not_a_server_error", examples=EXAMPLES):
        pass
    return both.pairs


def test_enough_requests_are_compared(pairs: list[Pair], capsys) -> None:
    with capsys.disabled():
        print(f"\nrequests: {len(pairs)}, different: {sum(not pair.agree for pair in pairs)}")
        reasons = Counter(
            reason for pair in pairs if not pair.agree for reason in rows(pair) or {"unexplained"}
        )
        print("\n".join(f"  {number:4} {reason}" for reason, number in reasons.most_common()))
    assert len(pairs) > FEWEST
    assert {pair.ours.kind for pair in pairs} == {2, 3, 4}


def test_each_difference_is_a_listed_deviation(pairs: list[Pair]) -> None:
    unexplained = [str(pair) for pair in pairs if not pair.agree and rows(pair) is None]

    assert unexplained == [], f"{len(unexplained)}:\n" + "\n".join(unexplained[:SHOWN])


def test_each_listed_deviation_occurs(pairs: list[Pair]) -> None:
    happened = {reason for pair in pairs if not pair.agree for reason in rows(pair) or ()}

    assert [row.reason for row in TABLE if row.reason not in happened] == []
