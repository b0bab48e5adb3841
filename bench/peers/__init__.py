"""The same service with other frameworks, in one file each: the same table, payloads and rule for emails."""
