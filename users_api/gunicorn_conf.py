"""gunicorn's configuration file; gunicorn reads its settings from this module's variables.

The master imports it: what the workers share is created here, before they are forked.
"""

from users_api.config import load_settings
from users_api.observability.cells import shared_cells
from users_api.rate_limits.window_table import shared_window_table
from users_api.server.configuration import gunicorn_settings
from users_api.serving import server_options

shared_window_table()
shared_cells()
globals().update(gunicorn_settings(server_options(load_settings())))
