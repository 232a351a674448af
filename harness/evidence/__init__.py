"""What a run directory proves, read and checked: rows, journal, canaries, and whether the rig can be trusted."""

from __future__ import annotations

from harness.evidence.run import NEVER, Evidence, Pool, Window

__all__ = ["NEVER", "Evidence", "Pool", "Window"]
