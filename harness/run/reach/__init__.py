"""`tailgate doctor SCENARIO`: what reaches what, as a run would need it, without a run."""
