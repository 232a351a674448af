"""What a worker does about a user's own locustfile: it loads it, names its requests, and notes what it does wrong."""
