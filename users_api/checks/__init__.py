"""Checks of a deployment: its settings, and the servers that they name; each has a limit of time."""
