"""What operators see of a service: request ids, logs, metrics and traces."""
