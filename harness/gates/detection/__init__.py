"""Gates on what the service reports: an upstream is named in time, and cleared when the fault is over."""
