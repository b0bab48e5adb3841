"""Imports that end early: the same command continues them, and no line is lost or repeated."""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from io import BufferedReader, FileIO
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import psycopg2
import pytest
from click.testing import Result

from tests.support.postgres import postgresql
from tests.support.service import migrate
from tests.support.waiting import until, until_a_lock_is_waited_for
from tests.transfer.conftest import Execute
from users_api.transfer.formats import Format
from users_api.transfer.source import Source

Run = Callable[..., Result]
Start = Callable[..., Popen[bytes]]
Interrupt = Callable[..., tuple[int, str]]
Stored = Callable[[str], list[tuple[Any, ...]]]
USERS = 40_000
BAD_INTERVAL = 100
IMPORT = ("import", "users.jsonl", "--rejected", "rejected.jsonl")


def lines(first: int = 1, last: int = USERS) -> Iterator[str]:
    """Yield lines of which every hundredth is bad."""
    for number in range(first, last + 1):
        email = "bad" if number % BAD_INTERVAL == 0 else f"{number}@example.org"
        yield json.dumps({"username": f"user {number}", "email": email}) + "\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with users.jsonl."""
    folder = tmp_path / "files"
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    (folder / "users.jsonl").write_text("".join(lines()))
    return folder


@pytest.fixture
def interrupt(start: Start, execute: Execute, folder: Path) -> Callable[..., tuple[int, str]]:
    """Starts an import, and sends it a signal when more than this share of the file is stored."""

    def interrupt(
        url: str, *command: str, share: float = 0, by: signal.Signals = signal.SIGKILL, **streams: Any
    ) -> tuple[int, str]:
        size = (folder / "users.jsonl").stat().st_size
        position = "SELECT coalesce(max(position), 0) FROM imports"
        importing = start(url, *command, covered=False, **streams)
        until(lambda: int(execute(url, position)[0][0]) > share * size)
        importing.send_signal(by)
        _, printed = importing.communicate()
        return importing.returncode, printed.decode()

    return interrupt


def assert_complete(users: list[tuple[Any, ...]], *, header: bool = False) -> None:
    good = [number for number in range(1, USERS + 1) if number % BAD_INTERVAL]
    assert [row[1:3] for row in users] == [(f"user {n}", f"{n}@example.org") for n in good]
    rejected = [json.loads(row)["line"] - header for row in Path("rejected.jsonl").read_text().splitlines()]
    assert rejected == list(range(BAD_INTERVAL, USERS + 1, BAD_INTERVAL))


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_stopped_import_is_continued_by_the_same_command(
    run: Run, url: str, stored: Stored, interrupt: Interrupt, by: signal.Signals
) -> None:
    for share in (0, 0.3, 0.6):
        status, printed = interrupt(url, *IMPORT, share=share, by=by)
        assert (status == 3) == ("run the same command again" in printed), printed

    last = run(url, *IMPORT)

    rejected = USERS // BAD_INTERVAL
    assert last.exit_code == 1
    assert f": {USERS - rejected:,} added, 0 updated, 0 skipped, {rejected} rejected.\n" in last.stderr
    assert_complete(stored(url))


class Interrupted(BufferedReader):
    """A file at whose end the user presses Ctrl-C."""

    def read1(self, size: int = -1, /) -> bytes:
        del size  # All bytes are already read, as the beginning.
        raise KeyboardInterrupt


def test_ctrl_c_while_waiting_for_input_says_how_to_continue(url: str, run: Run, execute: Execute) -> None:
    Path("few.jsonl").write_text("".join(lines(1, 9)))
    arguments = "import", "-", "--format", "jsonl"

    with Interrupted(FileIO("few.jsonl")) as standard_input:
        stopped = run(url, *arguments, standard_input=standard_input)
    with Path("few.jsonl").open("rb") as standard_input:
        continued = run(url, *arguments, standard_input=standard_input)

    assert (stopped.exit_code, continued.exit_code) == (3, 0)
    assert "Interrupted. Everything up to line " in stopped.stderr
    assert execute(url, "SELECT count(*) FROM users") == [(9,)]


def test_what_a_killed_process_wrote_after_its_last_commit_is_cut_off(
    run: Run, url: str, stored: Stored, interrupt: Interrupt
) -> None:
    interrupt(url, *IMPORT)
    with Path("rejected.jsonl").open("a") as file:
        file.write('{"line": 9999999, "errors"')

    run(url, *IMPORT)

    assert_complete(stored(url))


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_pipe_is_continued_when_the_same_bytes_are_sent_again(
    start: Start, url: str, stored: Stored, interrupt: Interrupt, form: str
) -> None:
    users = Path("users.jsonl")
    if form == "csv":
        records = (json.loads(line) for line in lines())
        users.write_text("username,email\n" + "".join(f"{r['username']},{r['email']}\n" for r in records))
    command = ("import", "-", "--format", form, "--rejected", "rejected.jsonl")
    with Popen(["cat", users, "-"], stdin=PIPE, stdout=PIPE) as endless:
        interrupt(url, *command, stdin=endless.stdout)

    with users.open("rb") as again:
        rest = start(url, *command, stdin=again)
        _, printed = rest.communicate()

    assert rest.returncode == 1, printed
    assert_complete(stored(url), header=form == "csv")


def test_a_finished_import_is_not_repeated(run: Run, url: str, folder: Path) -> None:
    (folder / "users.jsonl").write_text("".join(lines(1, 100)))
    first = run(url, *IMPORT)

    again = run(url, *IMPORT)

    assert first.exit_code == again.exit_code == 1
    assert again.stderr.startswith("users.jsonl was imported already, on ")
    assert again.stderr.endswith(
        "; pass --restart to import it again. It was: 99 added, 0 updated, 0 skipped, 1 rejected.\n"
        "rejected.jsonl lists the rejected lines.\n"
    )


def test_another_file_with_the_same_beginning_is_imported(
    run: Run, start: Start, url: str, stored: Stored, folder: Path
) -> None:
    (folder / "users.jsonl").write_text("".join(lines(1, 2000)))
    run(url, "import", "users.jsonl")
    longer = "".join(lines(1, 2010))
    (folder / "users.jsonl").write_text(longer)

    imported = run(url, "import", "users.jsonl", "--on-conflict", "skip")
    piped = start(url, "import", "-", "--format", "jsonl", stdin=PIPE)
    _, printed = piped.communicate((longer + "".join(lines(3001, 3001))).encode())

    assert "Imported users.jsonl: 10 added, 0 updated, 1,980 skipped, 20 rejected." in imported.stderr
    assert len(stored(url)) == 1990
    assert piped.returncode == 2
    assert b"The input begins like one that was imported on " in printed
    assert b"but then differs: pass --restart to import it." in printed


def test_a_changed_file_is_not_continued(run: Run, url: str, folder: Path, interrupt: Interrupt) -> None:
    interrupt(url, *IMPORT)
    text = (folder / "users.jsonl").read_text()
    (folder / "users.jsonl").write_text(text[:70_000] + text[70_010:])
    (folder / "short.jsonl").write_text(text[:70_000])

    for file in ("users.jsonl", "short.jsonl"):
        refused = run(url, "import", file, "--rejected", "rejected.jsonl")

        assert refused.exit_code == 2
        assert "lines are not those that were imported before: restore them to continue" in refused.stderr


def test_the_file_of_rejected_lines_must_stay_the_same(
    run: Run, url: str, folder: Path, interrupt: Interrupt
) -> None:
    interrupt(url, *IMPORT)

    without = run(url, "import", "users.jsonl")
    other = run(url, "import", "users.jsonl", "--rejected", "other.jsonl")

    assert without.exit_code == 2
    assert without.stderr == (
        "Error: This import began with --rejected: pass the same file to continue, "
        "or pass --restart to begin at the first line.\n"
    )
    assert other.exit_code == 2
    assert other.stderr.startswith("Error: other.jsonl has 0 bytes, but this import has written ")


def test_an_import_that_began_without_a_file_of_rejected_lines_continues_without(
    run: Run, url: str, execute: Execute, folder: Path, interrupt: Interrupt
) -> None:
    interrupt(url, "import", "users.jsonl")

    refused = run(url, *IMPORT)
    before = execute(url, "SELECT added, rejected FROM imports")[0]
    tried = run(url, *IMPORT, "--dry-run")
    continued = run(url, "import", "users.jsonl")

    assert refused.stderr == (
        "Error: This import began without --rejected: continue without it, "
        "or pass --restart to begin at the first line.\n"
    )
    assert tried.exit_code == continued.exit_code == 1
    added, rejected = USERS - USERS // BAD_INTERVAL - before[0], USERS // BAD_INTERVAL - before[1]
    assert f": {added:,} added, 0 updated, 0 skipped, {rejected} rejected.\n" in tried.stderr
    assert len((folder / "rejected.jsonl").read_text().splitlines()) == rejected


def test_a_new_import_does_not_overwrite_a_file_unless_it_restarts(run: Run, url: str, folder: Path) -> None:
    (folder / "users.jsonl").write_text("".join(lines(1, 100)))
    (folder / "rejected.jsonl").write_text("precious")

    refused = run(url, *IMPORT)
    tried = run(url, *IMPORT, "--dry-run", "--restart")
    kept = (folder / "rejected.jsonl").read_text()
    restarted = run(url, *IMPORT, "--restart")

    for each in (refused, tried):
        assert (each.exit_code, each.stderr) == (
            2,
            "Error: rejected.jsonl exists: remove it, or choose another file for the rejected lines.\n",
        )
    assert kept == "precious"
    assert restarted.exit_code == 1
    assert json.loads((folder / "rejected.jsonl").read_text())["line"] == 100


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)  # SQLite's other writers wait.
def test_two_processes_do_not_import_the_same_file(
    start: Start, url: str, stored: Stored, folder: Path
) -> None:
    with closing(psycopg2.connect(url)) as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLE users IN EXCLUSIVE MODE")
        both = [start(url, "import", "users.jsonl", "--on-conflict", "skip") for _ in range(2)]
        until(lambda: _waiting(url) == len(both))

    printed = {process.communicate()[1].decode().splitlines()[0]: process.returncode for process in both}

    rejected = USERS // BAD_INTERVAL
    assert printed == {
        f"Imported users.jsonl: {USERS - rejected:,} added, 0 updated, 0 skipped, {rejected} rejected.": 1,
        "Error: Another process imports the same file at this moment.": 3,
    }
    assert len(stored(url)) == USERS - rejected


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)  # As above.
@pytest.mark.usefixtures("folder")
def test_a_batch_that_meets_another_writer_is_stored_again(start: Start, url: str, stored: Stored) -> None:
    Path("one.jsonl").write_text('{"username": "imported", "email": "ada@example.org"}\n')
    with closing(psycopg2.connect(url)) as other, other.cursor() as cursor:
        cursor.execute("INSERT INTO users (username, email) VALUES ('written', 'ada@example.org')")
        importing = start(url, "import", "one.jsonl", "--on-conflict", "update")
        until_a_lock_is_waited_for(url)
        other.commit()

    _, printed = importing.communicate()

    assert importing.returncode == 0
    assert printed == b"Imported one.jsonl: 0 added, 1 updated, 0 skipped, 0 rejected.\n"
    assert [row[1:3] for row in stored(url)] == [("imported", "ada@example.org")]


def _waiting(url: str) -> int:
    """Return how many sessions of the database wait for a lock."""
    with closing(psycopg2.connect(url)) as watcher, watcher.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        ((number,),) = cursor.fetchall()
    return int(number)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)  # As above.
def test_two_processes_do_not_begin_the_same_import(start: Start, url: str, folder: Path) -> None:
    with Path("users.jsonl").open("rb") as stream:
        id_ = Source(stream).identity(Format.JSON_LINES)
    with closing(psycopg2.connect(url)) as other, other.cursor() as cursor:
        cursor.execute("INSERT INTO imports VALUES (%s, 0, %s, 0, 0, 0, 0, 0, NULL, NULL)", (id_, id_))
        importing = start(url, "import", "users.jsonl")
        until_a_lock_is_waited_for(url)
        other.commit()

    _, printed = importing.communicate()

    assert (importing.returncode, printed) == (
        3,
        b"Error: Another process imports the same file at this moment.\n",
    )


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGKILL])
def test_an_import_is_continued_after_the_server_has_stopped(
    run: Run, start: Start, execute: Execute, stored: Stored, how: signal.Signals
) -> None:
    with postgresql() as server:
        migrate(url := server.create("own"))
        importing = start(url, *IMPORT)
        until(lambda: bool(execute(url, "SELECT 1 FROM imports WHERE position > 0")))

        server.stop(how)
        _, printed = importing.communicate()
        server.start()

        assert importing.returncode == 3
        assert b"The database reports: " in printed
        assert run(url, *IMPORT).exit_code == 1
        assert_complete(stored(url))
