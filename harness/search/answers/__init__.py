"""What follows from the curves of a search. Pure."""
