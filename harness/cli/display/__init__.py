"""What commands print: the live display, the summaries, errors."""
