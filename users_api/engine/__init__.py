"""Serves any OpenAPI 3.0 document exactly as written; `App` is a drop-in for Connexion's FlaskApp."""

from users_api.engine.app import App
from users_api.engine.calls import in_thread
from users_api.engine.failures import DocumentError
from users_api.engine.responses import Response

__all__ = ["App", "DocumentError", "Response", "in_thread"]
