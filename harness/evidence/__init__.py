"""What a run directory proves: its rows, journal, canaries, readings and detections, read and joined. Nothing is
decided here."""

from __future__ import annotations

from harness.evidence.run import NEVER, Evidence, Pool, Window

__all__ = ["NEVER", "Evidence", "Pool", "Window"]
