"""What a run records of the service's own metrics: which series, and their values once a second."""
