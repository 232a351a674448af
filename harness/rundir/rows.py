"""The fixed-size rows that workers and backends append during a run, and how a row file ends.

Rows are little-endian. Times are absolute nanoseconds of the monotonic clock, so that times of different processes on
one host can be compared. A complete file has a sibling `.end` with its row count and digest; a file without it was cut
short, and its run cannot be judged. Writing needs no numpy, which would slow a worker's start; `read_rows` imports it
when called.

    samples-<worker>.bin one row per request, written by the load generator 64 B calls-<process>.bin one row per backend
    call, written by the fake backends 56 B

Rows are written in layout 2. Layout 1 of earlier versions is read into the same fields; what it did not record is
unknown (`first_ns` 0, `waited_us` 0, `route` ROUTE_UNKNOWN).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LAYOUT: Final = 2
NO_SEQ: Final = 2**64 - 1
"""A call that carried no sequence number."""
LOGIN_SEQ: Final = 2**62
"""The number that every login carries in place of an arrival's: calls with it are those of no arrival, and outside of
what is measured."""
FLAG_CANARY: Final = 1
FLAG_ORIGIN_FAILED: Final = 2
"""A call that the real origin behind the forwarder gave no whole answer to; its status is 502."""
FLAG_SHAKEN_ONCE: Final = 4
FLAG_SHAKEN_TWICE: Final = 8
"""The first call on a connection in TLS, and after how many flights of ours in its handshake: one in TLS 1.3 or with a
session that was resumed, two in a full handshake of TLS 1.2. A call without either needed no handshake."""
NO_ROUTE: Final = 2**16 - 1
"""A call that its fake does not support."""
ROUTE_UNKNOWN: Final = NO_ROUTE - 1
"""A call of an older run, which did not record the route."""
FAULT_BITS: Final = 32
"""The number of bits in a call's `faults`: only so many faults of a plan can be recorded."""


class Outcome(IntEnum):
    """How a request ended. Every outcome in ERRORS counts as an error, and as infinite latency in a latency gate.

    NO_REQUEST: a task of a locustfile ended and had sent nothing. It is in no gate.
    """

    OK = 0
    HTTP_ERROR = 1
    GATEWAY_TIMEOUT = 2
    CLIENT_TIMEOUT = 3
    CONNECTION_ERROR = 4
    BAD_ANSWER = 5
    DROPPED = 6
    UNFINISHED = 7
    NO_REQUEST = 8


ERRORS: Final = tuple(outcome for outcome in Outcome if outcome not in (Outcome.OK, Outcome.NO_REQUEST))


@dataclass(frozen=True, slots=True)
class RowLayout:
    """One kind of row: its struct format and the numpy fields that read the same bytes."""

    format: str
    fields: tuple[tuple[str, str], ...]
    size: int

    def unpack(self, data: bytes) -> Iterator[tuple[int, ...]]:
        """The values of each row in `data`, which holds whole rows only, in the order of the fields."""
        return struct.iter_unpack(self.format, data)

    def dtype(self) -> np.dtype[Any]:
        import numpy as np

        names = [name for name, _ in self.fields]
        kinds = [kind for _, kind in self.fields]
        offsets = [0]
        for kind in kinds[:-1]:
            offsets.append(offsets[-1] + np.dtype(kind).itemsize)
        return np.dtype({"names": names, "formats": kinds, "offsets": offsets, "itemsize": self.size})


SAMPLES: Final = RowLayout(
    "<QqqqqQIHHIBB2x",
    (
        ("seq", "<u8"),
        ("intended_ns", "<i8"),
        ("sent_ns", "<i8"),
        ("first_ns", "<i8"),  # the first byte of the body; the end of the headers of an empty one; 0: unknown
        ("done_ns", "<i8"),
        ("answered", "<u8"),  # bit i: upstream i's rows were in the answer
        ("bytes", "<u4"),
        ("status", "<u2"),  # 0 where no status line came
        ("request", "<u2"),  # index into plan.load.requests; of a locustfile the number of its name (request_names.py)
        ("waited_us", "<u4"),  # how long a locustfile's arrival waited for a user, and its task until it sent
        ("outcome", "u1"),
        ("part", "u1"),  # 0: the arrival's first request
    ),
    64,
)
CALLS: Final = RowLayout(
    "<QqqqqIIHHBBBx",
    (
        ("seq", "<u8"),
        ("arrived_ns", "<i8"),
        ("due_ns", "<i8"),
        ("first_ns", "<i8"),  # the first byte of the body was sent; 0: none was
        ("done_ns", "<i8"),
        ("bytes", "<u4"),
        ("faults", "<u4"),  # bit i: plan.faults[i] acted on this call
        ("status", "<u2"),
        ("route", "<u2"),  # which of the fake's routes it asked for; NO_ROUTE: none of them
        ("upstream", "u1"),  # index into plan.upstreams
        ("behaviour", "u1"),  # the first that acted, by its number in fake_backends.behaviours; 0: none
        ("flags", "u1"),
    ),
    56,
)
_SAMPLES_1: Final = RowLayout(
    "<QqqqQIHHBB14x",
    (
        ("seq", "<u8"),
        ("intended_ns", "<i8"),
        ("sent_ns", "<i8"),
        ("done_ns", "<i8"),
        ("answered", "<u8"),
        ("bytes", "<u4"),
        ("status", "<u2"),
        ("request", "<u2"),
        ("outcome", "u1"),
        ("part", "u1"),
    ),
    64,
)
_CALLS_1: Final = RowLayout(
    "<QqqqIHBBBI3x",
    (
        ("seq", "<u8"),
        ("arrived_ns", "<i8"),
        ("due_ns", "<i8"),
        ("done_ns", "<i8"),
        ("bytes", "<u4"),
        ("status", "<u2"),
        ("upstream", "u1"),
        ("behaviour", "u1"),
        ("flags", "u1"),
        ("faults", "<u4"),
    ),
    48,
)
_LAYOUT_1: Final = {SAMPLES: _SAMPLES_1, CALLS: _CALLS_1}
_UNKNOWN: Final = {"first_ns": 0, "waited_us": 0, "route": ROUTE_UNKNOWN}
"""The values of the fields that layout 1 does not have."""


class RowWriter:
    """Appends rows of one layout to a file: one buffer, one write per flush, a footer at the end.

    `flush` may raise OSError (a full disk); the rows then stay in the buffer, and the file is truncated to whole rows,
    so that it stays readable. `close` is idempotent.
    """

    def __init__(self, path: Path, layout: RowLayout, capacity: int = 4096) -> None:
        self._path = path
        self._layout = layout
        self._pack_into = struct.Struct(layout.format).pack_into
        self._buffer = bytearray(capacity * layout.size)
        self._used = 0
        self._digest = hashlib.sha256()
        self._rows = 0
        self._file = path.open("wb", buffering=0)
        self._closed = False

    def append(self, *values: int) -> None:
        """Add one row, in the order of the layout's fields. Flushes when the buffer is full."""
        if self._used == len(self._buffer):
            self.flush()
        self._pack_into(self._buffer, self._used, *values)
        self._used += self._layout.size

    def flush(self) -> None:
        if not self._used or self._closed:
            return
        data = memoryview(self._buffer)[: self._used]
        start = self._rows * self._layout.size
        written = 0
        try:
            while written < len(data):
                written += self._file.write(data[written:]) or 0
        except OSError:
            self._file.truncate(start)
            self._file.seek(start)
            raise
        self._digest.update(data)
        self._rows += self._used // self._layout.size
        self._used = 0

    def close(self) -> None:
        """Flush, close, and write the footer that completes the file."""
        if self._closed:
            return
        self.flush()
        self._closed = True
        self._file.close()
        footer = {"layout": LAYOUT, "rows": self._rows, "sha256": self._digest.hexdigest()}
        end = self._path.with_name(self._path.name + ".end")
        draft = end.with_name(end.name + ".new")  # who waits for the footer never sees half of it
        draft.write_text(json.dumps(footer) + "\n", encoding="utf-8")
        draft.replace(end)

    def abandon(self) -> None:
        """Close the file without a footer: it stays incomplete, and shows it."""
        self._closed = True
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class BrokenRows(Exception):
    """A row file without its footer, or one that does not match it. The message says which."""


def read_rows(path: Path, layout: RowLayout, *, verify: bool = True) -> NDArray[Any]:
    """The rows of a closed file as a structured array of `layout`, memory-mapped; of layout 1, a converted copy.

    Raises BrokenRows if the footer is missing or does not match. With `verify=False` all whole rows are returned, for a
    run in progress or a broken one.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise BrokenRows(f"{path.name} is missing") from None
    if not verify:
        return _rows(path, layout, _version_of(path))
    end = path.with_name(path.name + ".end")
    try:
        footer = json.loads(end.read_text(encoding="utf-8"))
        version, count, digest = footer["layout"], footer["rows"], footer["sha256"]
    except FileNotFoundError:
        raise BrokenRows(f"{path.name} was never closed: {end.name} is missing") from None
    except (ValueError, KeyError, TypeError):
        raise BrokenRows(f"{end.name} is not a footer") from None
    if version not in (1, LAYOUT):
        raise BrokenRows(f"{path.name} has layout {version}; this tailgate reads layouts 1 and {LAYOUT}")
    row_bytes = _stored(layout, version).size
    if count * row_bytes != size:
        raise BrokenRows(f"{path.name} has {size} bytes where its footer says {count} rows of {row_bytes}")
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != digest:
            raise BrokenRows(f"{path.name} does not match the digest in its footer")
    return _rows(path, layout, version)


def _stored(layout: RowLayout, version: int) -> RowLayout:
    return _LAYOUT_1[layout] if version == 1 else layout


def _version_of(path: Path) -> int:
    """The layout of a file whose footer may be missing: all files of a run have the same one."""
    for end in (path.with_name(path.name + ".end"), *sorted(path.parent.glob("*.bin.end"))):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            if (version := json.loads(end.read_text(encoding="utf-8"))["layout"]) in (1, LAYOUT):
                return int(version)
    return LAYOUT


def _rows(path: Path, layout: RowLayout, version: int) -> NDArray[Any]:
    """Every whole row of a file, in the fields of `layout`."""
    import numpy as np

    stored = _stored(layout, version)
    count = path.stat().st_size // stored.size
    if not count:
        return np.empty(0, layout.dtype())
    data: NDArray[Any] = np.memmap(path, dtype=stored.dtype(), mode="r", shape=(count,))
    if stored is layout:
        return data
    rows = np.zeros(count, layout.dtype())
    known = {name for name, _ in stored.fields}
    for name, _ in layout.fields:
        rows[name] = data[name] if name in known else _UNKNOWN[name]
    return rows
