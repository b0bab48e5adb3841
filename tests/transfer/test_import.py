"""`users-api import`: what a file may contain, and what becomes of each line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.transfer.conftest import Execute
from users_api.app import create_app
from users_api.transfer.csv_records import NOT_CSV, NOT_UTF8, WRONG_HEADER
from users_api.transfer.records import TOO_LONG
from users_api.transfer.rules import IMPOSSIBLE_DATE
from users_api.transfer.source import LONGEST_LINE

Run = Callable[..., Result]
Stored = Callable[[str], list[tuple[Any, ...]]]
DONE = "Imported {}: {} added, {} updated, {} skipped, {} rejected.\n"


def write(name: str, *lines: str | bytes, end: bytes = b"\n") -> None:
    texts = (line if isinstance(line, bytes) else line.encode() for line in lines)
    Path(name).write_bytes(b"".join(text + end for text in texts))


def rejected(name: str = "rejected.jsonl") -> list[tuple[int, list[tuple[str, str]]]]:
    """Return the number and the errors of each rejected line."""
    rows = [json.loads(line) for line in Path(name).read_text().splitlines()]
    return [(row["line"], [(each["field"], each["message"]) for each in row["errors"]]) for row in rows]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_exported_users_are_imported_unchanged(
    run: Run, make_database: Callable[[], str], add_users: Callable[..., None], stored: Stored, form: str
) -> None:
    full, empty = make_database(), make_database()
    add_users(full, 20_000)
    run(full, "export", f"users.{form}")

    imported = run(empty, "import", f"users.{form}")

    assert (imported.exit_code, imported.stdout, imported.stderr) == (
        0,
        "",
        DONE.format(f"users.{form}", "20,000", 0, 0, 0),
    )
    assert stored(empty) == stored(full)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_both_databases_write_the_same_file(
    run: Run, url: str, add_users: Callable[..., None], form: str, request: pytest.FixtureRequest
) -> None:
    known = request.config.stash.setdefault(FILES, {})
    add_users(url, 500)

    run(url, "export", f"users.{form}")

    found = (
        Path(f"users.{form}").read_bytes().replace(b'"\\."', b"\\.")
    )  # COPY quotes it; other readers need not.
    assert known.setdefault(form, found) == found


FILES = pytest.StashKey[dict[str, bytes]]()


def test_only_username_and_email_are_required(run: Run, url: str, execute: Execute) -> None:
    write("users.csv", "email,username", "ada@example.org,Ada", "bob@example.org,Bob")

    imported = run(url, "import", "users.csv")

    assert imported.exit_code == 0
    rows = execute(url, "SELECT id, username, email, active, version > 0 FROM users ORDER BY id")
    assert rows == [(1, "Ada", "ada@example.org", 1, 1), (2, "Bob", "bob@example.org", 1, 1)]


def test_empty_fields_count_as_missing(run: Run, url: str, stored: Stored) -> None:
    write("users.csv", "id,username,email,active,created_date", "7,Ada,ada@example.org,,", ',"",,true,')

    run(url, "import", "users.csv", "--rejected", "rejected.jsonl")

    assert [row[:4] for row in stored(url)] == [(7, "Ada", "ada@example.org", 1)]
    assert rejected() == [(3, [("username", "is required"), ("email", "is required")])]


def test_new_users_get_ids_above_the_imported_ones(
    run: Run, url: str, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        "users.jsonl",
        '{"username": "new", "email": "new@example.org"}',
        '{"id": 1, "username": "first", "email": "first@example.org"}',
        '{"id": 5000000, "username": "far", "email": "far@example.org"}',
    )
    monkeypatch.setenv("APP_SETTINGS", "users_api.config.TestingConfig")
    monkeypatch.setenv("DATABASE_TEST_URL", url)

    assert run(url, "import", "users.jsonl").exit_code == 0

    with create_app().test_client(base_url="http://testserver") as client:
        added = client.post("/users", json={"username": "Eve", "email": "eve@example.org"})
    assert added.status_code == 201
    assert [row[0] for row in stored(url)] == [1, 5_000_000, 5_000_001, 5_000_002]


def test_versions_are_new_and_random(run: Run, url: str, execute: Execute) -> None:
    write("users.csv", "username,email", *(f"user {n},{n}@example.org" for n in range(50)))

    run(url, "import", "users.csv")

    versions = [version for (version,) in execute(url, "SELECT version FROM users")]
    assert len(set(versions)) > 40
    assert max(versions) < 2**31


def test_an_update_changes_the_version(run: Run, url: str, execute: Execute) -> None:
    write("users.csv", "username,email", *(f"user {n},{n}@example.org" for n in range(50)))
    run(url, "import", "users.csv")
    before = execute(url, "SELECT version FROM users ORDER BY id")

    run(url, "import", "users.csv", "--restart", "--on-conflict", "update")

    after = execute(url, "SELECT version FROM users ORDER BY id")
    assert not any(old == new for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_line_ends_byte_order_marks_and_blank_lines_do_not_matter(
    run: Run, url: str, stored: Stored, form: str, end: bytes
) -> None:
    lines = {
        "csv": ["username,email", "", '"a\nb",a@example.org', "c,c@example.org", ""],
        "jsonl": [
            "",
            '{"username": "a\\nb", "email": "a@example.org"}',
            " \t",
            '{"username": "c", "email": "c@example.org"}',
        ],
    }[form]
    write(f"users.{form}", *lines, end=end)
    file = Path(f"users.{form}")
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().removesuffix(end))

    assert run(url, "import", file.name).stderr == DONE.format(file.name, 2, 0, 0, 0)

    assert [row[1] for row in stored(url)] == ["a\nb", "c"]


BAD_JSON: list[tuple[str | bytes, list[tuple[str, str]]]] = [
    ("{}", [("username", "is required"), ("email", "is required")]),
    ("[1]", [("", "must be of type object")]),
    (
        '{"username": "a", "email": "a b"}',
        [("email", "must match ^[!-~]+$"), ("email", "must be a valid email")],
    ),
    ('{"username": "", "email": "x@example.org"}', [("username", "must have 1 or more characters")]),
    ('{"username": "a\\u0000", "email": "x@example.org"}', [("username", "must match ^[^\\u0000]*$")]),
    ('{"username": "a", "email": "x@example.org", "version": 1}', [("version", "is not a known property")]),
    (
        '{"username": "a", "email": "x@example.org", "email": "y@example.org"}',
        [("email", "is given more than once")],
    ),
    ('{"username": "a", "email": "x@example.org", "id": 0}', [("id", "must be at least 1")]),
    ('{"username": "a", "email": "x@example.org", "id": 7.0}', [("id", "must be of type integer")]),
    ('{"username": "a", "email": "x@example.org", "id": null}', [("id", "must be of type integer")]),
    ('{"username": "a", "email": "x@example.org", "id": true}', [("id", "must be of type integer")]),
    (
        '{"username": "a", "email": "x@example.org", "created_date": "2026-11-23T09:30:00Z"}',
        [("created_date", "must have 27 or more characters")],
    ),
    (
        '{"username": "a", "email": "x@example.org", "created_date": "2016-12-31T23:59:60.000000Z"}',
        [tuple(IMPOSSIBLE_DATE)],
    ),
    (
        '{"username": "a", "email": "x@example.org", "created_date": "0001-01-01T00:00:00.000000Z"}',
        [tuple(IMPOSSIBLE_DATE)],
    ),
]
BAD_CSV: list[tuple[str | bytes, list[tuple[str, str]]]] = [
    ("only one field", [("", "must have 5 fields")]),
    ("01,a,x@example.org,,", [("id", "must be of type integer")]),
    ("9" * 19 + ",a,x@example.org,,", [("id", "must be at most 9007199254740991")]),
    ("9" * 5000 + ",a,x@example.org,,", [("id", "must be of type integer")]),
    (",a,x@example.org,yes,", [("active", "must be of type boolean")]),
    (',"a"b,x@example.org,,', [("", NOT_CSV)]),
    (",a\rb,x@example.org,,", [("", NOT_CSV)]),
    (b",\xff,x@example.org,,", [("", NOT_UTF8)]),
    (b'"\n\xff"b,x@example.org,,', [("", NOT_CSV)]),
    (",a\0,x@example.org,,", [("username", "must match ^[^\\u0000]*$")]),
    (f",{'a' * 129},x@example.org,,", [("username", "must have 128 or fewer characters")]),
]


@pytest.mark.parametrize(("line", "errors"), BAD_JSON)
def test_a_bad_line_of_json_is_rejected_with_the_messages_of_the_api(
    run: Run, url: str, stored: Stored, line: str, errors: list[tuple[str, str]]
) -> None:
    write(
        "users.jsonl",
        '{"username": "a", "email": "a@example.org"}',
        line,
        '{"username": "b", "email": "b@example.org"}',
    )

    imported = run(url, "import", "users.jsonl", "--rejected", "rejected.jsonl")

    assert (imported.exit_code, rejected()) == (1, [(2, errors)])
    assert [row[1] for row in stored(url)] == ["a", "b"]


@pytest.mark.parametrize(("line", "errors"), BAD_CSV)
def test_a_bad_line_of_csv_is_rejected(
    run: Run, url: str, stored: Stored, line: str | bytes, errors: list[tuple[str, str]]
) -> None:
    write(
        "users.csv", "id,username,email,active,created_date", ",a,a@example.org,,", line, ",b,b@example.org,,"
    )

    imported = run(url, "import", "users.csv", "--rejected", "rejected.jsonl")

    assert (imported.exit_code, rejected()) == (1, [(3, errors)])
    assert [row[1] for row in stored(url)] == ["a", "b"]


def test_a_line_of_json_that_is_not_utf8_is_rejected(run: Run, url: str) -> None:
    write("users.jsonl", b'{"username": "\xff", "email": "a@example.org"}')

    run(url, "import", "users.jsonl", "--rejected", "rejected.jsonl")

    ((number, ((field, message),)),) = rejected()
    assert (number, field) == (1, "")
    assert message.startswith("must be JSON in UTF-8: ")
    assert json.loads(Path("rejected.jsonl").read_text())["text"] == (
        '{"username": "\\xff", "email": "a@example.org"}'
    )


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_overlong_line_is_rejected_without_its_bytes_in_memory(
    run: Run, url: str, stored: Stored, form: str
) -> None:
    good = {"csv": "a,a@example.org", "jsonl": '{"username": "a", "email": "a@example.org"}'}[form]
    head = ["username,email"] if form == "csv" else []
    write(f"users.{form}", *head, "x" * 5_000_000, good)

    imported = run(url, "import", f"users.{form}", "--rejected", "rejected.jsonl")

    assert imported.exit_code == 1
    assert rejected() == [(1 + len(head), [("", TOO_LONG)])]
    assert len(Path("rejected.jsonl").read_bytes()) < LONGEST_LINE
    assert [row[1] for row in stored(url)] == ["a"]


def test_lines_inside_an_overlong_field_are_not_imported(run: Run, url: str, stored: Stored) -> None:
    inner = "evil,evil@example.org\n" * 10_000
    write("users.csv", "username,email", f'"x{inner}{"y" * 200_000}\n",x@example.org', "a,a@example.org")

    run(url, "import", "users.csv", "--rejected", "rejected.jsonl")

    assert rejected() == [(2, [("", TOO_LONG)])]
    assert [row[1] for row in stored(url)] == ["a"]


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_quote_that_is_never_closed_rejects_the_rest(run: Run, url: str, stored: Stored, size: int) -> None:
    write("users.csv", "username,email", "a,a@example.org", '"b,b@example.org', *["c,c@example.org"] * size)

    run(url, "import", "users.csv", "--rejected", "rejected.jsonl")

    ((number, ((_, message),)),) = rejected()
    assert (number, message) == (3, NOT_CSV if size == 10 else TOO_LONG)
    assert [row[1] for row in stored(url)] == ["a"]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "id,username",
        "username,email,email",
        "username,email,version",
        "Username,Email",
        "a,a@example.org",
        '"username',
    ],
)
def test_a_file_with_a_wrong_header_is_not_imported(run: Run, url: str, header: str) -> None:
    write("users.csv", *([header] if header else []))

    refused = run(url, "import", "users.csv")

    assert (refused.exit_code, refused.stderr) == (2, f"Error: {WRONG_HEADER}\n")


def test_a_file_in_utf16_is_not_imported(run: Run, url: str) -> None:
    Path("users.csv").write_text("username,email\n", encoding="utf-16")

    refused = run(url, "import", "users.csv")

    assert (refused.exit_code, refused.stderr) == (
        2,
        "Error: The file is in UTF-16; convert it with `iconv -f UTF-16 -t UTF-8`.\n",
    )


def test_the_first_rejected_lines_are_printed_without_a_file(run: Run, url: str) -> None:
    write("users.csv", "username,email", *("a" for _ in range(20)), *("a,x" for _ in range(3)))

    imported = run(url, "import", "users.csv")

    lines = imported.stderr.splitlines()
    assert (imported.exit_code, len(lines)) == (1, 12)
    assert lines[0] == DONE.format("users.csv", 0, 0, 0, 23).strip()
    assert lines[1] == "Line 2: must have 2 fields"
    assert lines[-1] == "To list all rejected lines, add --dry-run --restart --rejected FILE."


def test_the_file_of_rejected_lines_has_their_text(run: Run, url: str) -> None:
    write("users.csv", "username,email", '"a\n""b""",x')

    imported = run(url, "import", "users.csv", "--rejected", "rejected.jsonl")

    assert imported.stderr.endswith("rejected.jsonl lists the rejected lines.\n")
    assert Path("rejected.jsonl").stat().st_mode & 0o777 == 0o600
    assert json.loads(Path("rejected.jsonl").read_text()) == {
        "line": 2,
        "errors": [
            {"field": "email", "message": "must have 3 or more characters"},
            {"field": "email", "message": "must be a valid email"},
        ],
        "text": '"a\n""b""",x',
    }


def test_a_file_that_cannot_be_read_or_written_is_one_line(run: Run, url: str) -> None:
    write("users.csv", "username,email")

    missing = run(url, "import", "users.csv", "--rejected", "missing/rejected.jsonl")

    assert (missing.exit_code, missing.stderr) == (
        2,
        "Error: missing/rejected.jsonl: No such file or directory\n",
    )
