"""Checks whether the application can be created: the document is valid, and each operation has a handler."""

from collections.abc import Iterable
from typing import Final

from users_api.app import create_app
from users_api.checks.findings import Finding, ok, problem
from users_api.checks.redaction import redact
from users_api.config import load_settings
from users_api.development import describe_error

ADVICE: Final = "`users-api serve` ends with the same message until this is corrected."


def check_document() -> Iterable[Finding]:
    """Find the first error of the document or of a handler.

    Raises:
        SettingsError: a setting is wrong.
    """
    load_settings()
    try:
        app = create_app()
    except Exception as error:  # noqa: BLE001 -- code that is imported raises any exception.
        return [problem(redact(describe_error(error)), ADVICE)]
    endpoints = {rule.endpoint for rule in app.app.url_map.iter_rules()}
    return [ok(f"{len(endpoints)} operations, each with a handler")]
