"""By what the processes of a run are recognised. It imports nothing, so that every light module may import it."""

from __future__ import annotations

from typing import Final

RUN_VARIABLE: Final = "TAILGATE_RUN"
"""The environment variable that has the run's id in every process of a run."""
SUPERVISOR_MODULE: Final = "harness.stack.supervisor.supervisor"
"""A word in the command line of every supervisor."""
