"""Reports: what a finished run says to people and to CI. Nothing here decides anything."""
