"""Access to any ASGI application: keys, tokens and issuers; knows no users and no settings."""
