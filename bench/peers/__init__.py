"""The same service as others would write it: one table, one set of payloads, one rule for addresses, one file each."""
