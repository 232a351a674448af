"""From a scenario without problems to a plan: its timeline, its faults, its gateway and its arrivals."""
