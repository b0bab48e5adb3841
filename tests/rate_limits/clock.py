"""A clock that tests set."""


class Clock:
    """Seconds that pass only when a test adds them."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
