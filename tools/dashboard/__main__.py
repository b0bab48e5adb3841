"""Prints the dashboard."""

import json

from tools.dashboard.layout import dashboard

print(json.dumps(dashboard(), indent=2))  # noqa: T201 -- the output of the command.
