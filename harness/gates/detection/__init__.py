"""Gates on detections (the service's log or alert names an upstream): named in time, and cleared after the fault."""
