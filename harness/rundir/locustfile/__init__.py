"""What a run directory records of a user's own locustfile: the names of its requests, and notes on what it does."""
