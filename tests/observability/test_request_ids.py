"""Each request has an id that is safe in logs, SQL and headers."""

import os

import pytest

from users_api.observability.request_ids import RequestIds, accepted_id


@pytest.mark.parametrize("offered", [b"a", b"7f3e-1.x_Y", b"x" * 128])
def test_a_request_chooses_its_id(offered: bytes) -> None:
    assert accepted_id([offered]) == offered


@pytest.mark.parametrize(
    "offered", [b"", b"x" * 129, b"a b", b"a\n", b"*/", b"'", b'"', b"%s", b"\xc3\xa9", b"a\x00"]
)
def test_an_unsafe_id_is_refused(offered: bytes) -> None:
    assert accepted_id([offered]) is None


def test_of_several_ids_none_is_taken() -> None:
    assert accepted_id([b"a", b"b"]) is None
    assert accepted_id([]) is None


def test_new_ids_are_safe_and_no_two_requests_have_the_same() -> None:
    first, second = RequestIds(), RequestIds()
    made = {ids.new() for ids in (first, second) for _ in range(1000)}

    assert len(made) == 2000
    assert all(accepted_id([each]) for each in made)


def test_a_forked_process_has_other_ids() -> None:
    ids = RequestIds()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:  # pragma: no cover -- coverage does not see it leave.
        os.write(writing, ids.new())
        os._exit(0)
    os.waitpid(child, 0)

    assert os.read(reading, 100).partition(b"-")[0] != ids.new().partition(b"-")[0]
