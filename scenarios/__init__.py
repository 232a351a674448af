"""Load: arrival schedules (`load`), the Locust workers (`drive`), and ready-made scenarios (`catalog`)."""
