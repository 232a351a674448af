"""What a fault does to a whole process."""

from __future__ import annotations

from typing import Final, Literal

ProcessAct = Literal["kill", "pause", "restart"]
"""`kill`: SIGKILL, and started again when the fault is removed. `pause`: SIGSTOP, and SIGCONT when it is removed.
`restart`: SIGTERM, and started again at once."""

SERVICE_TARGET: Final = "service"
"""What a fault on the service under test names in place of an upstream. No upstream can be called so."""
