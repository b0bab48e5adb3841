"""Checks whether this machine can do what the settings ask for."""

import os
from collections.abc import Iterable
from typing import Final

from users_api.checks.findings import Finding, ok, problem, warning
from users_api.config import Config
from users_api.server.descriptors import TooFewDescriptors, allow_descriptors
from users_api.serving import server_options

WORKERS_PER_CORE: Final = 2


def check_open_files(settings: type[Config]) -> Iterable[Finding]:
    """Find whether a worker may open as many files as CLIENT_CONNECTIONS needs."""
    options = server_options(settings)
    try:
        allow_descriptors(options.descriptors)
    except TooFewDescriptors as error:
        most = max(0, error.limit - options.other_descriptors)
        advice = (
            f"Set CLIENT_CONNECTIONS to at most {most}, or raise the limit, for example with `ulimit -n`."
        )
        return [problem(str(error), advice)]
    return [ok(f"{options.descriptors} for each worker are allowed")]


def check_cores(settings: type[Config]) -> Iterable[Finding]:
    """Find whether there are too many workers for the cores that this process may use."""
    cores, workers = usable_cores(), settings.WEB_CONCURRENCY
    text = f"{workers} worker{'s' * (workers > 1)} on {cores} core{'s' * (cores > 1)}"
    if workers > WORKERS_PER_CORE * cores:
        advice = (
            f"Set WEB_CONCURRENCY to at most {WORKERS_PER_CORE * cores}: more use memory and are not faster."
        )
        return [warning(text, advice)]
    return [ok(text)]


def usable_cores() -> int:
    """Return how many cores this process may use; macOS does not restrict processes."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
