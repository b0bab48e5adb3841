"""The handlers: one function per operationId of the document, looked up by name."""

from users_api.handlers.health import check_liveness, check_readiness, ping
from users_api.handlers.metrics import read_metrics
from users_api.handlers.tokens import issue_token, list_token_keys
from users_api.handlers.users import create_user, delete_user, get_user, list_users, patch_user, update_user

__all__ = [
    "check_liveness",
    "check_readiness",
    "create_user",
    "delete_user",
    "get_user",
    "issue_token",
    "list_token_keys",
    "list_users",
    "patch_user",
    "ping",
    "read_metrics",
    "update_user",
]
