"""Checks what the role may do: everything that requests and commands do, except to migrate."""

from collections.abc import Iterable, Iterator
from typing import Final

from users_api.checks.findings import Finding, not_checked, ok, problem
from users_api.checks.migration import UPGRADE
from users_api.checks.session import Session

PRIVILEGES: Final = {
    "users": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "clients": ("SELECT", "INSERT", "UPDATE"),
    "imports": ("SELECT", "INSERT", "UPDATE"),
    "alembic_version": ("SELECT",),
}
TABLES: Final = "SELECT name, to_regclass(name) AS found FROM unnest(CAST(:names AS text[])) AS name"
TABLE_PRIVILEGE: Final = "SELECT has_table_privilege(to_regclass(:name), :privilege)"
# An identity column needs no privilege on its sequence; one that a column was given as its default does.
SEQUENCES: Final = """
    SELECT quote_ident(sequence.relname) AS name, has_sequence_privilege(sequence.oid, 'USAGE') AS is_usable
    FROM pg_depend JOIN pg_class AS sequence ON sequence.oid = objid AND sequence.relkind = 'S'
    WHERE classid = CAST('pg_class' AS regclass) AND refclassid = classid AND deptype = 'a'
      AND refobjid IN (SELECT to_regclass(name) FROM unnest(CAST(:names AS text[])) AS name)
"""
# Searches call it, and so does each write of a user, whose index it computes.
FUNCTION: Final = "users_common_prefix(text, text)"
FUNCTION_PRIVILEGE: Final = "SELECT has_function_privilege(to_regprocedure(:name), 'EXECUTE')"


def check_privileges(session: Session) -> Iterable[Finding]:
    """Find each table, sequence and function that the role cannot use."""
    role = session.row("SELECT quote_ident(current_user)")[0]
    found = {row.name: row.found for row in session.rows(TABLES, names=list(PRIVILEGES))}
    if not any(found.values()):
        return [not_checked("there are no tables, or the role lacks USAGE on their schema")]
    missing = [name for name in PRIVILEGES if not found[name]]
    findings = [problem(f"the table {name} does not exist", UPGRADE) for name in missing]
    for name in PRIVILEGES.keys() - missing:
        findings += _table(session, role, name)
    findings += _sequences(session, role)
    if session.row(FUNCTION_PRIVILEGE, name=FUNCTION)[0] is False:  # NULL if there is none.
        advice = f"As the owner run GRANT EXECUTE ON FUNCTION {FUNCTION} TO {role};"
        findings.append(problem(f"{role} lacks EXECUTE on the function {FUNCTION}", advice))
    return sorted(findings) or [ok(f"the role {role} may read and change all tables")]


def _table(session: Session, role: str, name: str) -> Iterator[Finding]:
    lacking = [
        privilege
        for privilege in PRIVILEGES[name]
        if not session.row(TABLE_PRIVILEGE, name=name, privilege=privilege)[0]
    ]
    if lacking:
        listed = ", ".join(lacking)
        yield problem(
            f"{role} lacks {listed} on {name}", f"As the owner run GRANT {listed} ON {name} TO {role};"
        )


def _sequences(session: Session, role: str) -> Iterator[Finding]:
    for sequence in session.rows(SEQUENCES, names=list(PRIVILEGES)):
        if not sequence.is_usable:
            yield problem(
                f"{role} lacks USAGE on the sequence {sequence.name}",
                f"As the owner run GRANT USAGE ON SEQUENCE {sequence.name} TO {role};",
            )
