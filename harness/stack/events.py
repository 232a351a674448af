"""What a run tells whoever watches it: lines on the supervisor's pipe, and the display's input.

Events inform; no verdict rests on them. What a verdict rests on is in the run directory.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from harness.rundir.journal import Entry
from harness.rundir.manifest import HarnessFault, ProcessExit, RunEnd
from harness.rundir.plan import Frozen


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
    """The stack is started and probed, and a load on it waits for the word to go."""

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
    """The run cannot be trusted any more (`fault`), though it may go on to its end."""

    event: Literal["rig_trouble"] = "rig_trouble"
    fault: HarnessFault


class LoadDone(Frozen):
    """Every worker has closed its rows and left."""

    event: Literal["load_done"] = "load_done"


class LoadEnded(Frozen):
    """The load's faults are undone, its workers gone and its records closed; the stack stays."""

    event: Literal["load_ended"] = "load_ended"
    ended: RunEnd


class StackDown(Frozen):
    """Faults undone, every child gone, manifest finished."""

    event: Literal["down"] = "down"
    ended: RunEnd


class Heartbeat(Frozen):
    """The supervisor lives. Once a second; whoever holds the pipe hears it, and no watcher ever sees it."""

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
EVENT: TypeAdapter[Event] = TypeAdapter(Event)
