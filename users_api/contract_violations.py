"""Counts and logs the responses that violate the document."""

import logging
from collections.abc import Iterable

from users_api.engine.response_checks import describe
from users_api.engine.violations import Violation
from users_api.observability.instruments import CONTRACT_VIOLATIONS
from users_api.observability.recorder import Recorder

logger = logging.getLogger(__name__)


class ContractViolations:
    """Counts each violating response, and logs it.

    The line has pointers and keywords, and nothing of the response's data: see `Violation`. Each operation
    has its own logger, so that a violation that repeats leaves out no lines of other operations.
    """

    def __init__(self, recorder: Recorder, operations: Iterable[str]) -> None:
        """Count with this recorder, beginning with 0 for each operation: alerts see the first violation."""
        self._recorder = recorder
        for name in operations:
            recorder.declare(CONTRACT_VIOLATIONS, name)

    def __call__(self, operation: str, status: int, violations: list[Violation]) -> None:
        """Count and log the response."""
        self._recorder.count(CONTRACT_VIOLATIONS, operation)
        places = describe(violations)
        logger.getChild(operation).error(
            "%s returned %d, which violates the document at %s", operation, status, places
        )
