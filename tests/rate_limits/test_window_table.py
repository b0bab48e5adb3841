"""The table of counts in shared memory."""

from itertools import count

import pytest

from users_api.rate_limits.window_table import ENTRY, WindowTable, shared_window_table


def store(table: WindowTable, key: str, expires_at: int, current: int = 1) -> None:
    """Store a count of the key."""
    table.write(table.find(key)._replace(expires_at=expires_at, current=current))


def counts(table: WindowTable, *keys: str) -> list[int]:
    """Return the count of each key."""
    return [table.find(key).current for key in keys]


def test_a_table_has_65536_entries_in_one_and_a_half_megabytes() -> None:
    memory = WindowTable().memory

    assert len(memory) == 65_536 * ENTRY.size == 1_572_864


def test_a_process_has_one_table() -> None:
    assert shared_window_table() is shared_window_table()


def test_the_keys_of_a_bucket_count_apart() -> None:
    table, keys = WindowTable(buckets=1), [f"key {number}" for number in range(8)]

    for number, key in enumerate(keys):
        store(table, key, 60, number)

    assert counts(table, *keys) == list(range(8))


def test_many_keys_count_apart() -> None:
    table, keys = WindowTable(), [f"key {number}" for number in range(1_000)]

    for number, key in enumerate(keys):
        store(table, key, 60, number)

    assert counts(table, *keys) == list(range(1_000))


def test_a_full_bucket_forgets_what_expires_first() -> None:
    table, keys = WindowTable(buckets=1), [f"key {number}" for number in range(8)]
    for key, expires_at in zip(keys, [90, 80, 70, 60, 61, 71, 81, 91], strict=True):
        store(table, key, expires_at)

    store(table, "another", 120)

    assert counts(table, "another", *keys) == [1, 1, 1, 1, 0, 1, 1, 1, 1]


@pytest.mark.parametrize("position", range(ENTRY.size))
def test_an_unfinished_entry_is_empty_and_is_stored_again(position) -> None:
    table = WindowTable(buckets=1)
    store(table, "key", 60, 5)
    start = table.find("key").position

    table.memory[start + position] ^= 0xFF
    unfinished = table.find("key")
    store(table, "key", 60, 6)

    assert unfinished[2:] == (0, 0, 0)
    assert counts(table, "key") == [6]


def test_an_unfinished_entry_is_replaced_first() -> None:
    table, keys = WindowTable(buckets=1), [f"key {number}" for number in range(8)]
    for key in keys:
        store(table, key, 60)

    table.memory[table.find(keys[3]).position + 8] ^= 0xFF
    store(table, "another", 60)

    assert counts(table, "another", *keys) == [1, 1, 1, 1, 0, 1, 1, 1, 1]


def test_a_table_never_fills_up() -> None:
    table = WindowTable(buckets=2)

    for number, expires_at in zip(range(1_000), count(60), strict=False):
        store(table, f"key {number}", expires_at, number)

        assert counts(table, f"key {number}") == [number]


def test_clients_cannot_know_which_keys_share_a_bucket() -> None:
    places = {WindowTable().find("key")[:2] for _ in range(10)}

    assert len(places) == 10
