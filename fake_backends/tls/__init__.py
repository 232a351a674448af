"""TLS of listeners: certificates of a run, TLS towards real origins, and a proxy for bytes in TLS."""
