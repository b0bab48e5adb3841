"""psycopg2 on the event loop: greenlets, connections, pool, sessions, statements and driver errors.

It knows no tables, imports nothing from the service and reads no settings.
"""

from users_api.database.connections import wait_on_the_loop
from users_api.database.driver_errors import is_unavailable, is_undefined, violated_constraint
from users_api.database.greenlets import run_in_greenlet
from users_api.database.handle import Base, db, rows, transaction
from users_api.database.options import engine_options, limit_sessions, tune
from users_api.database.statements import CannotBePrepared, Prepared, prepared
from users_api.database.versions import schema_is_newer, schema_is_newest

__all__ = [
    "Base",
    "CannotBePrepared",
    "Prepared",
    "db",
    "engine_options",
    "is_unavailable",
    "is_undefined",
    "limit_sessions",
    "prepared",
    "rows",
    "run_in_greenlet",
    "schema_is_newer",
    "schema_is_newest",
    "transaction",
    "tune",
    "violated_constraint",
    "wait_on_the_loop",
]
