"""Writes the dashboard for Grafana from the document's operations: `make dashboard`."""
