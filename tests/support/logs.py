"""What the service wrote to its log."""

import pytest


def outages(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the lines about outages, without the warnings that any other logger wrote meanwhile."""
    return [record.getMessage() for record in caplog.records if record.name == "users_api.errors"]
