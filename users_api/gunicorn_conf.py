"""gunicorn's configuration file; gunicorn reads its settings from this module's variables."""

from users_api.config import load_settings
from users_api.server.configuration import gunicorn_settings
from users_api.serving import server_options

globals().update(gunicorn_settings(server_options(load_settings())))
