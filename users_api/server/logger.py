"""gunicorn's logger: its handlers also take what the application logs."""

import logging
from typing import Any, Final

from gunicorn.glogging import Logger

PACKAGE: Final = __name__.partition(".")[0]
"""The level applies to this package: libraries log warnings only, since their details may contain data."""
STANDARD_ERROR: Final = "-"


def logger_class(handler: logging.Handler | None) -> type[Logger]:
    """Return the class of gunicorn's logger; the handler replaces the one that writes to standard error."""

    class ConfiguredLogger(Logger):
        def setup(self, cfg: Any) -> None:
            """Replace the handler, on start and on reload, unless gunicorn's options name a file."""
            super().setup(cfg)  # type: ignore[no-untyped-call]  # gunicorn has no annotations.
            if handler and cfg.errorlog == STANDARD_ERROR:
                others = [each for each in self.error_log.handlers if not _writes_to_stream(each)]
                self.error_log.handlers = [handler, *others]
            logging.root.handlers = list(self.error_log.handlers)
            logging.getLogger(PACKAGE).setLevel(self.loglevel)

    return ConfiguredLogger


def _writes_to_stream(handler: logging.Handler) -> bool:
    return type(handler) is logging.StreamHandler
