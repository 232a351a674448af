"""The events of a run: JSON lines on the supervisor's stdout, which tailgate reads and its display shows.

Events only inform. A verdict needs nothing but the run directory.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from harness.model.frozen import Frozen
from harness.rundir.journal import Entry
from harness.rundir.manifest import HarnessFault, ProcessExit, RunEnd


class ChildStarted(Frozen):
    event: Literal["child_started"] = "child_started"
    child: str
    pid: int


class ChildReady(Frozen):
    event: Literal["child_ready"] = "child_ready"
    child: str
    after_ms: float
    detail: str = ""


class StackUp(Frozen):
    """The stack is started and probed, and its load waits for `GoCommand`."""

    event: Literal["up"] = "up"


class LoadStarted(Frozen):
    event: Literal["load_started"] = "load_started"
    t0_ns: int


class FaultChanged(Frozen):
    event: Literal["fault_changed"] = "fault_changed"
    entry: Entry


class ChildDied(Frozen):
    event: Literal["child_died"] = "child_died"
    death: ProcessExit


class RigTrouble(Frozen):
    """The run cannot be trusted any more, for the reason in `fault`. It may continue to its end all the same."""

    event: Literal["rig_trouble"] = "rig_trouble"
    fault: HarnessFault


class LoadDone(Frozen):
    """Every worker has closed its row file and exited."""

    event: Literal["load_done"] = "load_done"


class LoadEnded(Frozen):
    """The load's faults are undone, its workers have exited and its records are closed. The stack stays up."""

    event: Literal["load_ended"] = "load_ended"
    ended: RunEnd


class StackDown(Frozen):
    """The faults are undone, every child has exited, and the manifest is finished."""

    event: Literal["down"] = "down"
    ended: RunEnd


class Heartbeat(Frozen):
    """The supervisor is alive. Sent once a second. The reader of the pipe consumes it; the display never gets it."""

    event: Literal["beat"] = "beat"


Event = Annotated[
    ChildStarted
    | ChildReady
    | StackUp
    | LoadStarted
    | FaultChanged
    | ChildDied
    | RigTrouble
    | LoadDone
    | LoadEnded
    | StackDown
    | Heartbeat,
    Field(discriminator="event"),
]
EVENT: TypeAdapter[Event] = TypeAdapter(Event, config=ConfigDict(defer_build=True))
