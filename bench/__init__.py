"""Benchmarks of the service, against its peers and as load and data grow; all local and bounded in time."""
