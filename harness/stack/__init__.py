"""The processes of a run: supervisor, children, ports. After a run, no process, toxic or lock file of it remains."""
