"""Gates on the latency of what ended ok: its mean, and its maximum."""
