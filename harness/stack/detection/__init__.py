"""Which upstream the service reports, in its log or by its alert. The only reader of either."""
