"""From a scenario to a verdict: one `tailgate run` and all that happens in it."""
