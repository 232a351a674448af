"""What was seen from outside of the service while a load ran."""
