"""Which upstream the service reports in its log or by its alert. Nothing else reads either."""
