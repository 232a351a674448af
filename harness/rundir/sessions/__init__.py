"""What a run directory says of the sessions of its load."""
