"""Access to any ASGI application: keys, tokens, issuers and rate limits; knows no users and no settings."""
