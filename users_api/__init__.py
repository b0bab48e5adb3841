"""A user directory with a spec-first HTTP API: `openapi/users.yaml` defines its routes and requests."""
