"""The limit of open files, which each connection needs one of (setrlimit(2), RLIMIT_NOFILE)."""

import resource


class TooFewDescriptors(OSError):  # noqa: N818 -- exceptions here are named for what happened.
    """The system does not allow as many open files as the connections need; `limit` is what it allows."""

    def __init__(self, needed: int, limit: int) -> None:
        """Compose the message."""
        self.limit = limit
        super().__init__(f"{needed} open files are needed, but the system allows {limit}")


def allow_descriptors(needed: int) -> None:
    """Raise the limit of this process and its children, if it is lower.

    Raises:
        TooFewDescriptors: the hard limit, which only root may raise, is lower.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise TooFewDescriptors(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    except (OSError, ValueError):  # macOS has a limit of its own, below a hard limit without a bound.
        raise TooFewDescriptors(needed, soft) from None
