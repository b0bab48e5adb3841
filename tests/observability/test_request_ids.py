"""Each request has an id that is safe in logs, SQL and headers."""

import os

import pytest

from users_api.observability.request_ids import RequestIds


@pytest.mark.parametrize("offered", [b"a", b"7f3e-1.x_Y", b"x" * 128])
def test_a_request_chooses_its_id(offered: bytes) -> None:
    assert RequestIds().choose([offered]) == offered.decode()


@pytest.mark.parametrize(
    "offered", [b"", b"x" * 129, b"a b", b"a\n", b"*/", b"'", b'"', b"%s", b"\xc3\xa9", b"a\x00"]
)
def test_an_unsafe_id_is_replaced(offered: bytes) -> None:
    assert RequestIds().choose([offered]).encode() != offered


def test_of_several_ids_none_is_taken() -> None:
    assert RequestIds().choose([b"a", b"b"]) not in {"a", "b"}


def test_no_two_requests_have_the_same_id() -> None:
    first, second = RequestIds(), RequestIds()

    assert len({ids.choose([]) for ids in (first, second) for _ in range(1000)}) == 2000


def test_a_forked_process_has_other_ids() -> None:
    ids = RequestIds()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:  # pragma: no cover -- coverage does not see it leave.
        os.write(writing, ids.choose([]).encode())
        os._exit(0)
    os.waitpid(child, 0)

    assert os.read(reading, 100).decode().partition("-")[0] != ids.choose([]).partition("-")[0]
