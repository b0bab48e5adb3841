"""How fast the service is, beside its peers and as it grows; everything on 127.0.0.1 and bounded in time."""
