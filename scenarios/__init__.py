"""What tailgate knows of load: schedules (`load`), the Locust side (`drive`), scenarios to copy (`catalog`)."""
