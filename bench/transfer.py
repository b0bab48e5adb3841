"""Export and import of many users: rates, memory, equality, and imports that are killed and continued."""

import hashlib
import os
import random
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import orjson
import psycopg2

from bench.postgres import PostgreSQL, postgresql
from bench.report import ROOT, markdown
from bench.systems import COMMAND

SECTION: Final = re.compile(r"(?<=<!-- transfer -->\n).*(?=<!-- /transfer -->)", re.DOTALL)
FORMATS: Final = ("csv", "jsonl")
BAD_LINES: Final = 1_000
KILLS: Final = 3
LEAST_OUT: Final = 200_000
LEAST_IN: Final = 50_000
AWKWARD_NAMES: Final = """UPDATE users
    SET username = E'"a", b\\n\\\\.\\n\\t\\r' || chr(233) || chr(128512) || id WHERE id % 100 = 0"""
BAD: Final = {
    "csv": b"x,,no address,maybe,yesterday\n",
    "jsonl": b'{"id": "x", "email": "no address", "active": null}\n',
}


class Run(NamedTuple):
    """One command: its seconds, its peak memory in megabytes, and its exit status."""

    seconds: float
    megabytes: float
    status: int


class Round(NamedTuple):
    """The figures of one format."""

    form: str
    users: int
    file_megabytes: float
    exported: Run
    imported: Run
    killed: Run
    rejected: int
    rejected_lines_match: bool
    files_match: bool


def measure(users: int) -> list[Round]:
    """Measure both formats on PostgreSQL with its default settings."""
    with TemporaryDirectory(prefix="bench-transfer-") as folder, postgresql() as server:
        full = _database(server, "all_users")
        _run(full, "seed_db", "--count", str(users))
        _execute(full, AWKWARD_NAMES)
        _execute(full, "VACUUM ANALYZE users")
        return [_measure(server, full, Path(folder) / f"users.{form}", users) for form in FORMATS]


def _measure(server: PostgreSQL, full: str, file: Path, users: int) -> Round:
    form = file.suffix[1:]
    empty = _database(server, f"once_{form}")
    exported = _run(full, "export", str(file))
    imported = _run(empty, "import", str(file))
    digest = _digest(file)
    files_match = _export(empty, file.with_stem("once")) == digest
    mixed, numbers = file.with_stem("mixed"), set(random.sample(range(2, users), BAD_LINES))
    bad_lines = list(_mix(file, mixed, numbers, BAD[form]))
    rejected = file.with_name(f"rejected-{form}.jsonl")
    other = _database(server, f"killed_{form}")
    killed = _import_with_kills(other, mixed, rejected)
    found = [orjson.loads(row)["line"] for row in rejected.read_bytes().splitlines()]
    files_match = files_match and _export(other, file.with_stem("killed")) == digest
    return Round(
        form, users, _megabytes(file), exported, imported, killed, len(found), found == bad_lines, files_match
    )


def _mix(file: Path, mixed: Path, places: set[int], bad: bytes) -> Iterator[int]:
    """Write the file with bad lines in front of some of its records; yield their numbers."""
    number, is_quoted, waiting = 0, False, sorted(places, reverse=True)
    with file.open("rb") as source, mixed.open("wb") as target:
        for count, line in enumerate(source):
            if not is_quoted and waiting and count >= waiting[-1]:
                waiting.pop()
                target.write(bad)
                number += 1
                yield number
            number += 1
            target.write(line)
            is_quoted ^= file.suffix == ".csv" and line.count(b'"') % 2 == 1


def _import_with_kills(url: str, file: Path, rejected: Path) -> Run:
    """Import, kill the process at random moments, and start the same command until it ends by itself."""
    began, megabytes, size = time.monotonic(), 0.0, file.stat().st_size
    for place in sorted(random.sample(range(size * 9 // 10), KILLS)):
        process = _start(url, "import", str(file), "--rejected", str(rejected))
        while process.poll() is None and _position(url) < place:
            time.sleep(random.uniform(0, 0.1))  # noqa: S311 -- no secret.
        process.kill()
        megabytes = max(megabytes, _wait(process, began).megabytes)
    last = _run(url, "import", str(file), "--rejected", str(rejected))
    return Run(time.monotonic() - began, max(megabytes, last.megabytes), last.status)


def _position(url: str) -> int:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(position), 0) FROM imports")
        ((position,),) = cursor.fetchall()
    return int(position)


def _database(server: PostgreSQL, name: str) -> str:
    url = server.create(name)
    _run(url, "db", "upgrade")
    return url


def _export(url: str, file: Path) -> bytes:
    _run(url, "export", str(file))
    return _digest(file)


def _digest(file: Path) -> bytes:
    """Return the SHA-256 of a file; the memory of this process counts for those that it starts."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def _execute(url: str, statement: str) -> None:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        connection.cursor().execute(statement)


def _run(url: str, *arguments: str) -> Run:
    began = time.monotonic()
    return _wait(_start(url, *arguments), began)


def _start(url: str, *arguments: str) -> subprocess.Popen[bytes]:
    environment = os.environ | {"APP_SETTINGS": "users_api.config.DevelopmentConfig", "DATABASE_URL": url}
    return subprocess.Popen([COMMAND, *arguments], env=environment, stdout=subprocess.DEVNULL)


def _wait(process: subprocess.Popen[bytes], began: float) -> Run:
    """Return what the process used, as the system reports it at its end."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Run(time.monotonic() - began, usage.ru_maxrss / 1000, process.returncode)


def _megabytes(file: Path) -> float:
    return file.stat().st_size / 1e6


def rows(rounds: Sequence[Round]) -> list[Sequence[str]]:
    killed = f"{BAD_LINES:,} bad lines, killed {KILLS} times"
    head = ("format", "file MB", "users/s out", "MB RSS", "users/s in", "MB RSS", killed, "rejected", "equal")
    return [head, *map(_row, rounds)]


def _row(each: Round) -> Sequence[str]:
    return (
        each.form,
        f"{each.file_megabytes:.0f}",
        f"{each.users / each.exported.seconds:,.0f}",
        f"{each.exported.megabytes:.0f}",
        f"{each.users / each.imported.seconds:,.0f}",
        f"{each.imported.megabytes:.0f}",
        f"{each.killed.seconds:.0f} s, {each.killed.megabytes:.0f} MB RSS, status {each.killed.status}",
        f"{each.rejected:,}",
        "yes" if each.files_match and each.rejected_lines_match else "no",
    )


def misses(rounds: Sequence[Round]) -> Iterator[str]:
    """Yield a line for each missed goal."""
    for each in rounds:
        if each.users / each.exported.seconds < LEAST_OUT:
            yield f"{each.form}: fewer than {LEAST_OUT:,} users per second are exported"
        if each.users / each.imported.seconds < LEAST_IN:
            yield f"{each.form}: fewer than {LEAST_IN:,} users per second are imported"
        if not each.files_match or not each.rejected_lines_match or each.killed.status != 1:
            yield f"{each.form}: a line was lost or duplicated"


def publish(rounds: Sequence[Round]) -> None:
    """Write the section of docs/performance.md."""
    page = ROOT / "docs" / "performance.md"
    page.write_text(SECTION.sub(lambda _: markdown(rows(rounds)), page.read_text()))
