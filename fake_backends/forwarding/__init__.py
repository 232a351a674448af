"""The forwarder: passes the calls of the service on to a real HTTP origin, and applies the faults of fakes to them."""
