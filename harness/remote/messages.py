"""The messages between a run's master and its workers on other machines, and how they travel.

They are Locust's own messages (`locust.rpc.protocol`): a msgpack list of type, data and sender. Ours all have the type
`tailgate`; the `kind` in their data says which. What cannot be parsed is no message of ours.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeVar

import msgpack
from pydantic import Field, TypeAdapter, ValidationError

from harness.model.frozen import Frozen

TYPE: Final = "tailgate"
"""The type of our messages for Locust."""
LIVENESS_S: Final = 10.0
"""A peer of which nothing came for this long is lost. Holds on both sides."""
PING_EVERY_S: Final = 1.0
ROWS_BYTES_MOST: Final = 256_000
"""The most bytes of rows in one message. A whole number of rows."""
FILE_BYTES_MOST: Final = 2_000_000
TOKENS_MOST: Final = 100
"""The most tokens in one message."""
FILES_MOST: Final = 16
"""Files that one worker sends beside its rows."""


class BrokenMessage(Exception):
    """What came is no message of ours."""


# ---------------------------------------------------------------- from a worker


class Join(Frozen):
    """A worker asks for a part of the load."""

    kind: Literal["join"] = "join"
    version: str
    """tailgate's version there."""
    host: str


class Declined(Frozen):
    """The worker does not take part, by its own rules: a target without consent, another locustfile."""

    kind: Literal["declined"] = "declined"
    message: str
    fix: str = ""


class Ready(Frozen):
    """Its Locust process waits for the start."""

    kind: Literal["ready"] = "ready"


class Pong(Frozen):
    """The answer to the ping of that number, with the worker's monotonic clock."""

    kind: Literal["pong"] = "pong"
    number: int
    worker_ns: int


class SavedTokens(Frozen):
    """What logins of the worker saved, so that it is redacted in the logs of the run. May come again."""

    kind: Literal["tokens"] = "tokens"
    values: Annotated[tuple[str, ...], Field(max_length=TOKENS_MOST)]


class Rows(Frozen):
    """Rows of its file, from row `first` on, in the worker's clock. `sha256`: of `data`."""

    kind: Literal["rows"] = "rows"
    first: int
    data: bytes
    sha256: str


class LoadCpu(Frozen):
    """What its Locust process has used since it began, with what its children used that have ended; once a second.
    `worker_ns`: when that was, in the worker's clock. It may be lost: the next one has it all."""

    kind: Literal["load_cpu"] = "load_cpu"
    worker_ns: int
    cpu_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class RowsEnd(Frozen):
    """Its row file is closed. `sha256`: of the whole file in the worker's clock."""

    kind: Literal["rows_end"] = "rows_end"
    rows: int
    sha256: str


class KeptFile(Frozen):
    """A file that belongs to the run directory: the log of its Locust process, an answer that was incomplete, names of
    a locustfile's requests and notes on it, the record of its logins. It may come again, and is then whole again."""

    kind: Literal["file"] = "file"
    name: str
    data: bytes


class WorkerFinished(Frozen):
    """All rows were acknowledged, and everything else was sent."""

    kind: Literal["finished"] = "finished"


class Failed(Frozen):
    """The worker cannot go on: it ends and keeps nothing. The run has no verdict."""

    kind: Literal["failed"] = "failed"
    message: str
    fix: str = ""


# ---------------------------------------------------------------- to a worker


class Welcome(Frozen):
    """The worker takes part, as number `index`. `plan`: plan.json with every `${VAR}` unexpanded.

    `locustfile_sha256`, `data_sha256`: digests of the files that the plan names, here; None: it names none.
    """

    kind: Literal["welcome"] = "welcome"
    index: int
    plan: bytes
    locustfile_sha256: str | None = None
    data_sha256: str | None = None


class JoinRefused(Frozen):
    kind: Literal["refused"] = "refused"
    message: str
    fix: str = ""


class Prepare(Frozen):
    """Every worker has joined, and the service is ready if the load has a locustfile: start the Locust process."""

    kind: Literal["prepare"] = "prepare"


class Ping(Frozen):
    kind: Literal["ping"] = "ping"
    number: int


class Start(Frozen):
    """When the load begins, and its t = 0, in the worker's monotonic clock."""

    kind: Literal["start"] = "start"
    start_ns: int
    t0_ns: int


class Stop(Frozen):
    """Send nothing that is due at `at_ns` or later, in the worker's monotonic clock."""

    kind: Literal["stop"] = "stop"
    at_ns: int


class EndNow(Frozen):
    """Do not wait for open requests any longer: end the Locust process, which closes its rows, and deliver them."""

    kind: Literal["end_now"] = "end_now"


class RowsTaken(Frozen):
    """So many rows from the beginning on are on the master's disk. `closed`: and its file there is complete."""

    kind: Literal["rows_taken"] = "rows_taken"
    rows: int
    closed: bool = False


class Done(Frozen):
    """The load is over and everything arrived: leave."""

    kind: Literal["done"] = "done"


class Abort(Frozen):
    """The run has failed: end at once."""

    kind: Literal["abort"] = "abort"
    reason: str


FromWorker = Annotated[
    Join | Declined | Ready | Pong | SavedTokens | Rows | LoadCpu | RowsEnd | KeptFile | WorkerFinished | Failed,
    Field(discriminator="kind"),
]
ToWorker = Annotated[
    Welcome | JoinRefused | Prepare | Ping | Start | Stop | EndNow | RowsTaken | Done | Abort,
    Field(discriminator="kind"),
]
_M = TypeVar("_M")
_FROM_WORKER: TypeAdapter[FromWorker] = TypeAdapter(FromWorker)
_TO_WORKER: TypeAdapter[ToWorker] = TypeAdapter(ToWorker)


def from_worker(data: object) -> FromWorker:
    """Parses what a worker sent. Raises BrokenMessage."""
    return _parsed(_FROM_WORKER, data)


def pack(message: Frozen, sender: str) -> bytes:
    """A message as Locust sends one."""
    packed: bytes = msgpack.packb((TYPE, message.model_dump(), sender))
    return packed


def unpack_for_worker(raw: bytes) -> ToWorker | None:
    """Parses what came from the master; None for a message of Locust's own. Raises BrokenMessage."""
    try:
        type_, data, _sender = msgpack.unpackb(raw, strict_map_key=False)
    except Exception as exc:  # msgpack raises several kinds, and the list may have another length
        raise BrokenMessage(f"not a message: {exc}") from exc
    return _parsed(_TO_WORKER, data) if type_ == TYPE else None


def _parsed(adapter: TypeAdapter[_M], data: object) -> _M:
    try:
        return adapter.validate_python(data)
    except ValidationError as exc:
        raise BrokenMessage(str(exc.errors()[0]["msg"])) from exc


def data_of(message: Frozen) -> dict[str, Any]:
    """The data of a message for `runner.send_message(TYPE, …)` of Locust."""
    return message.model_dump()
