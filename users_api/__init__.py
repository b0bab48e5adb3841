"""A directory of users behind a spec-first HTTP API: `openapi/users.yaml` is the contract and the only router."""
