"""What operators see of a service: request ids and logs."""
