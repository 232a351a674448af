"""What a scenario refers to must exist: upstreams, faults, requests, phases, files."""
