"""What a run directory proves: its rows, journal, canaries, readings and detections, read and joined. Nothing is
decided here."""

from __future__ import annotations

from harness.evidence.run import Evidence, Pool
from harness.evidence.window import NEVER, Window

__all__ = ["NEVER", "Evidence", "Pool", "Window"]
