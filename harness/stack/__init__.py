"""The running stack: supervisor, children, ports, and the promise that nothing of it is left behind."""
