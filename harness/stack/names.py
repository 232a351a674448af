"""By what the processes of a run are recognised. It imports nothing, so that every light module may import it."""

from __future__ import annotations

from typing import Final

RUN_VARIABLE: Final = "TAILGATE_RUN"
"""The environment variable that has the run's id in every process of a run."""
FAR_VARIABLE: Final = "TAILGATE_FAR_WORKER"
"""The environment variable of a process that `tailgate worker` has started. It may be on the machine of the run, and is
no part of the service then."""
SUPERVISOR_MODULE: Final = "harness.stack.supervisor.supervisor"
"""A word in the command line of every supervisor."""
