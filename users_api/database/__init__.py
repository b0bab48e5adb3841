"""psycopg2 on the event loop: greenlets, connections, pool, sessions, statements and driver errors.

It knows no tables, imports nothing from the service and reads no settings.
"""

from users_api.database.connections import wait_on_the_loop
from users_api.database.copies import WritableFile, copy_in, copy_out
from users_api.database.driver_errors import (
    is_missing_schema_object,
    is_sequence_exhausted,
    is_unavailable,
    violated_constraint,
)
from users_api.database.greenlets import run_in_greenlet
from users_api.database.handle import Base, db, many_rows, rows, transaction
from users_api.database.observation import observe_statements
from users_api.database.options import engine_options, listen_to_engine_events, set_session_timeouts
from users_api.database.pages import page_indexes, select_page
from users_api.database.sorted_pages import Sort, merge
from users_api.database.statements import CannotBePrepared, PreparedStatement, prepare
from users_api.database.text_order import ascii_lower, fold, last_with_prefix
from users_api.database.versions import (
    MigrationsNotFound,
    newest_migration,
    schema_is_newer,
    schema_is_newest,
)

__all__ = [
    "Base",
    "CannotBePrepared",
    "MigrationsNotFound",
    "PreparedStatement",
    "Sort",
    "WritableFile",
    "ascii_lower",
    "copy_in",
    "copy_out",
    "db",
    "engine_options",
    "fold",
    "is_missing_schema_object",
    "is_sequence_exhausted",
    "is_unavailable",
    "last_with_prefix",
    "listen_to_engine_events",
    "many_rows",
    "merge",
    "newest_migration",
    "observe_statements",
    "page_indexes",
    "prepare",
    "rows",
    "run_in_greenlet",
    "schema_is_newer",
    "schema_is_newest",
    "select_page",
    "set_session_timeouts",
    "transaction",
    "violated_constraint",
    "wait_on_the_loop",
]
