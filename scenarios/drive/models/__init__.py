"""The load models: open (planned arrivals) and closed (users), and the user instances of both."""
