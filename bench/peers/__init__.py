"""The same service with other frameworks: the same table, payloads and rule for email addresses, in one file each."""
