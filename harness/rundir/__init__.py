"""Every file of a run directory: its shape, written and read in one module each. Nothing is decided here."""
