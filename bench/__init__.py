"""Benchmarks of the service, compared with its peers and as load and data grow; all on 127.0.0.1 and bounded in time."""
