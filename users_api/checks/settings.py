"""Checks each setting by itself."""

from collections.abc import Iterable
from typing import Final

from users_api.checks.findings import Finding, ok, problem
from users_api.checks.redaction import redact
from users_api.config import Config, SettingsError, settings_class, settings_problems

ADVICE: Final = "Each setting is described in docs/settings.md."


def check_values() -> Iterable[Finding]:
    """Find every wrong setting."""
    try:
        settings = settings_class()
    except SettingsError as error:
        return [problem(redact(str(error)), ADVICE)]
    problems = settings_problems(settings)
    return [problem(redact(each), ADVICE) for each in problems] or [ok(f"all valid, of {_name(settings)}")]


def _name(settings: type[Config]) -> str:
    return settings.__name__
