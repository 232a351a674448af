"""`tailgate worker`: one machine's part in a load that another machine runs and judges."""
