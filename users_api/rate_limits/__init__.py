"""Rate limits for any ASGI application, counted in memory that the workers share, or in Redis."""
