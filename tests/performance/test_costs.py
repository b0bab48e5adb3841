"""What a request may cost: no bytes of a client hold the event loop for long, whatever the document says."""

import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.performance.costs.cases import CONNECTION, READ, Case, add_to_corpus, read_corpus
from tests.performance.costs.documents import BODY_LIMIT, SUCCESS, Request, Subject
from tests.performance.costs.generators import cases
from tests.performance.costs.meter import (
    FACTOR,
    MOST,
    PER_KIB,
    REFERENCE,
    Measured,
    Meter,
    budget,
    stop,
    wire,
)
from tests.performance.costs.search import metering, report, search, worst
from tests.performance.costs.shapes import Shape, around, sites
from tests.support.documents import NAMES
from users_api.engine.json_text import has_more_items
from users_api.engine.media_types import MULTIPART, URLENCODED

EXAMPLES = 150
GENERATED = 300
MEASURED_PLACES = {"query", "path", "cookie", "headers", "content-type", CONNECTION}
SLOW_SECONDS = 0.5
SEARCH_SECONDS = 5
LONE_SURROGATE = "\ud83d"


@pytest.fixture(scope="module")
def meter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meter]:
    """A meter of all operations, without the logs of refused requests."""
    logging.disable(logging.WARNING)
    with metering(tmp_path_factory.mktemp("costs")) as measuring:
        yield measuring
    logging.disable(logging.NOTSET)


@pytest.fixture
def reference(meter: Meter) -> Subject:
    """The operation whose valid request is the unit of all budgets."""
    return meter.subjects[REFERENCE]


def test_every_case_of_the_corpus_stays_within_its_budget(meter: Meter):
    measured = {case: meter.measure(case) for case in read_corpus()}

    exceeding = {case: each for case, each in measured.items() if each.share > 1}
    assert list(report(exceeding)) == []


def test_a_search_finds_no_case_beyond_its_budget(meter: Meter):
    deadline = time.monotonic() + SEARCH_SECONDS

    found = search(
        meter, list(meter.subjects.values()), examples=EXAMPLES, derandomize=True, deadline=deadline
    )

    assert found
    assert list(report({case: each for case, each in found.items() if each.share > 1})) == []


def test_the_corpus_has_cases_of_every_document_and_kind_of_place(meter: Meter):
    cases = read_corpus()

    assert len(set(cases)) == len(cases)
    assert all(case[:2] in meter.subjects for case in cases)
    assert {"users", "keywords", "recursive", "forms", "parameters"} <= {case.document for case in cases}
    assert {"query", "path", "cookie", "headers", "content-type", CONNECTION} <= {
        case.place for case in cases
    }


def test_every_document_is_measured_by_requests_that_succeed(meter: Meter):
    assert {document for document, _ in meter.subjects} == {"users", *NAMES}
    for number in (-1, -2):
        statuses = {
            key: meter.send(subject.app, subject.numbered(number)).status
            for key, subject in meter.subjects.items()
        }
        assert {key: status for key, status in statuses.items() if status not in SUCCESS} == {}


def test_cases_of_every_kind_are_generated(meter: Meter):
    chosen = [meter.subjects["forms", "POST /multipart"], meter.subjects["forms", "POST /either"]]
    kinds = set()

    @settings(max_examples=GENERATED, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(cases(chosen))
    def check(case: Case) -> None:
        kinds.add(case.place)
        assert Case.parse(case.line()) == case
        assert len(case.shape.text()) <= 2 * BODY_LIMIT

    check()

    assert {*MEASURED_PLACES, MULTIPART, URLENCODED, "application/json"} <= kinds


def test_what_the_server_receives_is_measured_too(meter: Meter, reference: Subject):
    received = wire(reference.valid)

    assert meter.exchange(reference.app, received, READ).status == 200
    assert meter.exchange(reference.app, received, 1).status == 200
    assert meter.exchange(reference.app, received, 1, seconds=0).status == 0


def test_a_budget_grows_with_the_size_up_to_a_limit():
    assert budget(0, 10, 100) == FACTOR * 10
    assert budget(1024, 10, 100) == FACTOR * 10 + PER_KIB * 100
    assert budget(1024**2, 10, 100) == FACTOR * 10 + MOST * 100


def test_a_case_beyond_its_budget_is_measured_again(meter: Meter, reference: Subject):
    delays = [SLOW_SECONDS]

    async def slow_at_first(scope: Any, _receive: Any, send: Any) -> None:
        end = time.thread_time() + (delays.pop() if delays else 0)
        while time.thread_time() < end:
            """Hold the event loop."""
        await send({"type": "http.response.start", "status": 204 if scope["path"] == "/" else 404})

    subject = Subject("slow", "GET /", slow_at_first, Request("GET", "/"), ("path",), (), ())
    case = Case("slow", "GET /", "path", Shape("/a"))

    with closing(Meter([reference, subject])) as own:
        measured = own.measure(case)

    assert measured.status == 404
    assert measured.share <= 1
    assert delays == []


def test_a_request_that_does_not_end_is_stopped(meter: Meter):
    async def endless(_scope: Any, _receive: Any, _send: Any) -> None:
        while True:
            has_more_items(b"[" * 100, 10)

    cost = meter.send(endless, Request("GET", "/"), seconds=0.01)

    assert cost.status == 0


def test_libraries_are_not_interrupted():
    stop(0, SimpleNamespace(f_globals={"__name__": "json"}))


def test_a_search_reports_the_worst_cases_and_keeps_those_beyond_their_budgets(tmp_path: Path):
    corpus = tmp_path / "corpus.jsonl"
    corpus.touch()

    searched = subprocess.run(
        [sys.executable, "-m", "tests.performance.costs.search", "0.5", corpus],
        check=False,
        capture_output=True,
        text=True,
    )

    assert "of the budget" in searched.stdout, searched.stderr
    assert bool(read_corpus(corpus)) is bool(searched.returncode)


def test_only_the_worst_case_of_a_place_is_reported():
    measured = {"a": 1, "b": 3, "c": 2}
    found = {
        Case("a", "GET /", "query", Shape(text)): Measured(400, share, share, share)
        for text, share in measured.items()
    }

    assert [case.shape.unit for case, _ in worst(found)] == ["b"]


def test_a_case_is_one_line_of_a_corpus(tmp_path: Path):
    corpus = tmp_path / "corpus.jsonl"
    written = [
        Case("a", "POST /", "application/json", Shape("{}", 3, ",", start="[", end="]")),
        Case("a", "POST /", CONNECTION, Shape(LONE_SURROGATE, head="x"), read=1),
    ]

    add_to_corpus((case.line(ratio=2) for case in written), corpus)

    assert read_corpus(corpus) == written
    assert corpus.read_text().splitlines()[0] == (
        '{"document": "a", "operation": "POST /", "place": "application/json", '
        '"unit": "{}", "count": 3, "joint": ",", "start": "[", "end": "]", "ratio": 2}'
    )


@pytest.mark.parametrize("unit", ["ab", "#", "a#b", "é"])
@pytest.mark.parametrize("size", [1, 100, 5000])
def test_a_shape_fills_a_size(unit: str, size: int):
    shape = Shape(unit, joint=",", head="x", depth=2, opening="[", closing="]").filling(size)

    sizes = [len(shape._replace(count=shape.count + more).text().encode()) for more in (0, 1)]
    assert shape.count == 1 or sizes[0] <= size
    assert size / 2 < sizes[1] or shape.count > 1


def test_an_empty_unit_is_not_repeated():
    assert Shape("").filling(100) == Shape("")


def test_numbers_make_units_differ():
    assert Shape("a#", 3, ",", start="[", end="]", depth=1, opening="{", closing="}").text() == "{[a0,a1,a2]}"


def test_a_site_is_a_value_with_the_json_around_it():
    value = {"a": 1, "b": [2, {"c": 3}, 4]}

    found = {path: around(value, path) for path, _ in sites(value)}

    assert list(found) == [(), ("a",), ("b",), ("b", 0), ("b", 1), ("b", 1, "c"), ("b", 2)]
    assert found["b", 1, "c"] == ('{"a":1,"b":[2,{"c":', "},4]}")
    assert all(json.loads(f"{before}0{after}") is not None for before, after in found.values())
