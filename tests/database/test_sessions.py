"""`db.session` is one transaction, single statements are their own, and neither blocks the event loop."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
import pytest
from flask import Flask
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError, InvalidRequestError, OperationalError

from tests.database.conftest import POOL_SIZE, SECONDS
from tests.database.tables import ADD, TEXTS, Note, Topic
from tests.support.postgres import PostgreSQL
from users_api.database import db, rows, run_in_greenlet, transaction
from users_api.database.greenlets import waiting_greenlet

Serve = Callable[..., list[Any]]
One = Callable[..., Any]


class RequestFailed(Exception):  # noqa: N818 -- named for what happened.
    pass


def stored(one: One) -> list[str]:
    """Return the notes' texts as another request reads them."""
    return one(lambda: [row.text for row in rows(TEXTS)])


def wait_for_others() -> None:
    """Suspend, so that the other requests run."""
    waiting_greenlet().wait_for(asyncio.sleep(0.001))


@contextmanager
def lock_on_notes(url: str) -> Iterator[Any]:
    """Yield another connection, which holds a lock on the notes."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            yield holder
    else:
        with closing(psycopg2.connect(url.replace("+psycopg2", ""))) as holder:
            holder.cursor().execute("LOCK TABLE notes IN ACCESS EXCLUSIVE MODE")
            yield holder


def test_two_writes_are_committed_together(one: One) -> None:
    def handler() -> None:
        db.session.add(Note(text="first"))
        db.session.flush()
        db.session.add(Note(text="second"))
        db.session.commit()

    one(handler)

    assert stored(one) == ["first", "second"]


def test_a_failed_second_write_rolls_back_the_first(one: One) -> None:
    def handler() -> None:
        db.session.add(Note(text="first"))
        db.session.flush()
        db.session.add(Note(text="first"))
        db.session.commit()

    with pytest.raises(IntegrityError):
        one(handler)

    assert stored(one) == []


@pytest.mark.parametrize("failure", [None, RequestFailed()])
def test_a_request_without_a_commit_is_rolled_back(one: One, failure: Exception | None) -> None:
    def handler() -> None:
        db.session.execute(Note.__table__.insert(), {"text": "first"})
        if failure:
            raise failure

    if failure:
        with pytest.raises(RequestFailed):
            one(handler)
    else:
        one(handler)

    assert stored(one) == []


def test_a_session_is_usable_after_a_rollback(one: One) -> None:
    def handler() -> None:
        db.session.add(Note(text="first"))
        db.session.flush()
        db.session.rollback()
        with db.session.begin_nested():
            db.session.add(Note(text="second"))
        with pytest.raises(IntegrityError), db.session.begin_nested():
            db.session.add(Note(text="second"))
        db.session.commit()

    one(handler)

    assert stored(one) == ["second"]


def test_more_requests_than_connections_have_a_session_at_the_same_time(serve: Serve, one: One) -> None:
    def handler(number: int) -> int:
        db.session.add(Note(text=f"{number:02}"))
        db.session.flush()
        wait_for_others()
        mine = db.session.scalars(select(Note.id).where(Note.text == f"{number:02}")).one()
        rows(ADD, text=f"{number:02}, again")
        db.session.commit()
        return mine

    numbers = range(5 * POOL_SIZE)
    ids = serve(*(lambda number=number: handler(number) for number in numbers))

    assert len({each for each in ids if isinstance(each, int)}) == len(numbers)
    assert len(stored(one)) == 2 * len(numbers)


def test_each_request_has_a_session_of_its_own(serve: Serve) -> None:
    def handler() -> Any:
        session = db.session()
        wait_for_others()
        assert db.session() is session
        return session

    assert len(set(map(id, serve(*[handler] * POOL_SIZE)))) == POOL_SIZE


@pytest.mark.parametrize("way", ["session", "transaction", "rows"])
def test_the_event_loop_runs_while_a_write_waits_for_a_lock(
    application: Flask, serve: Serve, notes_url: str, way: str
) -> None:
    def write() -> str:
        with application.app_context():
            if way == "session":
                db.session.add(Note(text="late"))
                db.session.commit()
            elif way == "transaction":
                with transaction() as connection:
                    connection.execute(ADD, {"text": "late"})
            else:
                rows(ADD, text="late")
            return "written"

    async def main() -> str:
        with lock_on_notes(notes_url) as holder:
            writing = asyncio.create_task(run_in_greenlet(write, SECONDS))
            for _ in range(10):
                await asyncio.sleep(0.01)
            assert not writing.done()
            holder.rollback()
            try:
                return await writing
            finally:
                with application.app_context():
                    db.engine.dispose()

    assert asyncio.run(main()) == "written"
    serve()


def test_a_request_that_times_out_leaves_neither_rows_nor_locks(one: One, notes_url: str) -> None:
    def handler() -> None:
        db.session.add(Note(text="first"))
        db.session.flush()
        waiting_greenlet().wait_for(asyncio.sleep(SECONDS))

    with pytest.raises(TimeoutError):
        one(handler, seconds=0.1)

    with lock_on_notes(notes_url):
        pass
    assert stored(one) == []


@pytest.mark.parametrize("commits", [True, False])
def test_a_single_statement_joins_an_open_session(one: One, *, commits: bool) -> None:
    def handler() -> list[str]:
        db.session.add(Note(text="by the session"))
        rows(ADD, text="by rows")
        seen = [row.text for row in rows(TEXTS)]
        if commits:
            db.session.commit()
        return seen

    both = ["by rows", "by the session"]
    assert one(handler) == both
    assert stored(one) == (both if commits else [])


def test_a_single_statement_after_the_commit_is_its_own_transaction(one: One) -> None:
    def handler() -> None:
        db.session.add(Note(text="by the session"))
        db.session.commit()
        rows(ADD, text="by rows")
        db.session.rollback()

    one(handler)

    assert stored(one) == ["by rows", "by the session"]


def test_a_transaction_is_kept_as_a_whole(one: One) -> None:
    def handler(failure: Exception | None = None) -> None:
        with transaction() as connection:
            connection.execute(ADD, {"text": f"first {failure!r}"})
            rows(ADD, text=f"second {failure!r}")
            if failure:
                raise failure

    one(handler)
    with pytest.raises(RequestFailed):
        one(lambda: handler(RequestFailed()))

    assert stored(one) == ["first None", "second None"]


def test_transaction_raises_in_an_open_session(one: One) -> None:
    def handler() -> None:
        rows(TEXTS)
        db.session.execute(TEXTS)
        transaction().__enter__()

    with pytest.raises(InvalidRequestError, match="already begun"):
        one(handler)


def test_a_hundred_transactions_change_one_row_and_none_fails(serve: Serve, one: One) -> None:
    def change() -> None:
        with transaction() as connection:
            connection.execute(select(Topic).where(Topic.id == 1)).one()
            connection.execute(update(Topic).values(reads=Topic.reads + 1).where(Topic.id == 1))

    one(lambda: rows(Topic.__table__.insert(), id=1, title="Greenlets"))

    assert serve(*[change] * 100) == [None] * 100
    assert one(lambda: rows(select(Topic.__table__.c.reads))) == [(100,)]


def test_serializable_sets_the_isolation_level(one: One, backend: str) -> None:
    def handler() -> str:
        with transaction(serializable=True) as connection:
            if backend == "sqlite":
                return "serializable" if connection.connection.in_transaction else ""
            return connection.execute(text("SHOW transaction_isolation")).scalar_one()

    assert one(handler) == "serializable"


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)  # SQLite is never asked for it.
def test_a_connection_may_ask_for_autocommit(one: One) -> None:
    def handler() -> None:
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("CREATE INDEX CONCURRENTLY ix_notes_topic_id ON notes (topic_id)"))
            connection.execute(text("DROP INDEX CONCURRENTLY ix_notes_topic_id"))

    one(handler)


def test_a_session_that_reads_first_may_write_after_another_has_written(serve: Serve, one: One) -> None:
    def handler(name: str) -> None:
        db.session.scalars(select(Note.id)).all()
        wait_for_others()
        db.session.add(Note(text=name))
        db.session.commit()

    assert serve(lambda: handler("first"), lambda: handler("second")) == [None, None]
    assert stored(one) == ["first", "second"]


def test_a_foreign_key_is_checked(one: One) -> None:
    with pytest.raises(IntegrityError):
        one(lambda: rows(ADD, text="lost", topic_id=999))


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)  # SQLite has no round trips.
def test_a_session_costs_three_round_trips_and_a_single_statement_one(postgres: PostgreSQL, one: One) -> None:
    log = postgres.folder / "log"
    one(
        lambda: (
            db.session.execute(text("ALTER DATABASE notes SET log_statement = 'all'")) and db.session.commit()
        )
    )

    def handler() -> None:
        rows(TEXTS)
        db.session.execute(text("SELECT 'warmed up'"))
        db.session.rollback()
        db.session.execute(text("SELECT 'mark'"))
        db.session.commit()
        rows(TEXTS)
        db.session.execute(text("SELECT 'end'"))

    one(handler)

    one(lambda: db.session.execute(text("ALTER DATABASE notes RESET log_statement")) and db.session.commit())
    statements = [
        line.partition("statement: ")[2].split()[0]
        for line in log.read_text().splitlines()
        if "statement: " in line
    ]
    lines = [
        line.partition("statement: ")[2] for line in log.read_text().splitlines() if "statement: " in line
    ]
    start, end = lines.index("SELECT 'mark'"), lines.index("SELECT 'end'")
    assert statements[start - 1 : end + 1] == ["BEGIN", "SELECT", "COMMIT", "SELECT", "BEGIN", "SELECT"]


def test_sqlite_gives_up_on_a_lock_after_a_while(tmp_path: Any) -> None:
    from users_api.database.sqlite import RetryingConnection  # noqa: PLC0415

    path = f"{tmp_path}/locked.db"
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as holder,
        closing(RetryingConnection(path, busy_seconds=0.02, isolation_level=None)) as patient,
    ):
        holder.execute("BEGIN IMMEDIATE")

        with pytest.raises(sqlite3.OperationalError, match="locked"):
            patient.execute("CREATE TABLE notes (id)")


def test_an_unknown_table_is_reported_at_once(one: One) -> None:
    with pytest.raises(Exception, match="absent") as failure:
        one(lambda: db.session.execute(text("SELECT * FROM absent")))

    assert isinstance(failure.value, OperationalError) or failure.value.orig.pgcode == "42P01"
