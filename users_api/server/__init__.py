"""The production server: gunicorn's workers, HTTP/1.1, limits and metrics for any ASGI application."""
