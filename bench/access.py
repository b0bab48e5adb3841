"""What authentication costs; all services get the same requests, with a token that is already verified."""

from typing import Final

from bench import overhead
from bench.compare import GOALS
from bench.systems import System, users_api, users_api_with_tokens

NONE: Final = "AUTH=none"
REQUIRED: Final = "AUTH=required"


def compare() -> overhead.Costs:
    """Return the costs of each operation."""
    starts: list[overhead.Start] = [
        users_api,
        users_api,
        lambda shared: users_api_with_tokens(REQUIRED, shared),
    ]
    return overhead.compare(starts, _with_token)


def goals() -> dict[str, float]:
    """Return the most that authentication may cost: times the cost without."""
    return {REQUIRED: GOALS["access"]["times"]}


def _with_token(systems: list[System]) -> list[System]:
    baseline, control, required = systems
    return [
        baseline._replace(name=NONE, token=required.token),
        control._replace(name=overhead.CONTROL, token=required.token),
        required,
    ]
