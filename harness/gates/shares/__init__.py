"""Gates on a share of the requests: how many failed, how many were not complete, against a limit, zero, or main."""
