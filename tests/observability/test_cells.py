"""Numbers in shared memory: any series, any number of workers, readable at any time."""

import os

import pytest

from users_api.observability import cells
from users_api.observability.cells import MAX_ROWS, Row, SharedCells, series_in
from users_api.server.slots import MAX_SLOTS


@pytest.fixture
def shared() -> SharedCells:
    """New cells for one test."""
    return SharedCells()


def test_there_is_a_row_for_each_slot_of_a_worker() -> None:
    assert MAX_ROWS >= MAX_SLOTS


def test_a_series_is_found_by_its_labels(shared: SharedCells) -> None:
    first = shared.row.allocate(("requests", "ping", "200"), 3)
    other = shared.row.allocate(("requests", "ping", "404"), 1)
    shared.row.cells[first + 2], shared.row.cells[other] = 7, 8

    found = [
        (each.labels, shared.row.cells[each.first : each.first + each.width].tolist())
        for each in series_in(shared.row.cells)
    ]

    assert found == [(("requests", "ping", "200"), [0, 0, 7]), (("requests", "ping", "404"), [8])]
    assert shared.row.allocate(("requests", "ping", "200"), 3) == first


@pytest.mark.parametrize("label", ["", "x", "seven77", "eight888", 'a"b\\c\nd', "é" * 50, "x" * 2000])
def test_a_label_may_be_any_text(label: str, shared: SharedCells) -> None:
    first = shared.row.allocate(("name", label), 1)
    shared.row.allocate(("next",), 1)

    found = next(series_in(shared.row.cells))
    assert (found.labels, found.first) == (("name", label), first)


def test_a_series_with_overlong_labels_is_ignored(shared: SharedCells) -> None:
    shared.row.cells[shared.row.allocate(("x" * 2049,), 1)] = 1

    assert list(series_in(shared.row.cells)) == []


def test_a_row_continues_where_its_last_worker_ended(shared: SharedCells) -> None:
    shared.claim(7)
    shared.row.cells[shared.row.allocate(("a",), 1)] += 1
    shared.claim(7)
    shared.row.cells[shared.row.allocate(("b",), 1)] += 1
    shared.row.cells[shared.row.allocate(("a",), 1)] += 1

    assert [(each.labels, shared.row.cells[each.first]) for each in series_in(shared.row.cells)] == [
        (("a",), 2),
        (("b",), 1),
    ]


def test_only_rows_in_use_are_read(shared: SharedCells) -> None:
    shared.claim(511)

    assert len(list(shared.rows())) == 2


def test_a_child_process_writes_into_the_memory_of_its_parent(shared: SharedCells) -> None:
    child = os.fork()
    if not child:  # pragma: no cover -- coverage does not see it leave.
        shared.claim(1)
        shared.row.cells[shared.row.allocate(("child",), 1)] = 5
        os._exit(0)
    os.waitpid(child, 0)

    (found,) = [each for row in shared.rows() for each in series_in(row)]
    assert found.labels == ("child",)


def test_a_worker_that_was_killed_while_it_added_a_series_leaves_nothing(
    shared: SharedCells,
) -> None:
    class KilledError(Exception):
        """The process ends here."""

    class Dying(Row):
        def _add(self, text: bytes, width: int, size: int) -> None:
            start = self._free
            super()._add(text, width, size)
            self.cells[start] = 0  # The sizes are written last.
            raise KilledError

    dying = Dying(shared.row.cells)
    with pytest.raises(KilledError):
        dying.allocate(("a name" * 300,), 9)

    shared.claim(0)
    first = shared.row.allocate(("b",), 1)

    assert [(each.labels, each.first) for each in series_in(shared.row.cells)] == [(("b",), first)]


def test_a_full_row_ignores_further_series(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "ROW_BYTES", 8 * 100)
    shared = SharedCells()
    for number in range(100):
        width = 1 + number * 7 % 15
        first = shared.row.allocate(("requests", str(number)), width)
        for cell in range(first, first + width):
            shared.row.cells[cell] += 1

    found = list(series_in(shared.row.cells))

    assert 3 < len(found) < 30
    for each in found:
        assert shared.row.cells[each.first : each.first + each.width].tolist() == [1] * each.width


def test_a_few_operations_take_few_pages_of_memory(shared: SharedCells) -> None:
    for operation in range(9):
        for status in (200, 400, 404, 500):
            shared.row.allocate(
                ("http_server_request_duration_seconds", f"operation_{operation}", str(status)), 15
            )

    assert not any(shared.row.cells[2 * os.sysconf("SC_PAGE_SIZE") // 8 :])
