"""A user directory with a spec-first HTTP API: `openapi/users.yaml` defines the routes and validates the requests."""
