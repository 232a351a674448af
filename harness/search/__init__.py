"""What a service can take, found by many loads on one stack, and how long a scenario needs to decide."""
