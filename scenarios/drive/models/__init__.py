"""The load models: open (planned arrivals) and closed (users), and the users both are made of."""
