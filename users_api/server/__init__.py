"""The production server: gunicorn's workers, HTTP/1.1, limits and reports for any ASGI application."""
