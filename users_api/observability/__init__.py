"""What operators see of a service: request ids, logs and metrics."""
