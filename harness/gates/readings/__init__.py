"""Gates on readings: what the service holds or uses, read once a second and judged without statistics."""
