"""The arrivals of a whole load: those of its streams, merged in order of time and numbered through.

Each stream draws its random numbers from the seed and its own name, so a stream that is added, removed or changed
leaves the times of the others as they are, and which requests they send. Only the numbers change, which count through.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.rundir.planned.load import PlannedLoad, Stream
from scenarios.load.choice import request_index, request_indices
from scenarios.load.schedules import MANY, arrivals_ns, peak_rate_per_s

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class PlannedArrivals:
    """Every arrival of a load; arrival N (its `seq`) is entry N.

    `at_ns`: ascending nanoseconds from t = 0. `owner`: the index of its stream; empty if there is one stream only.
    `turn`: its number within its stream; empty likewise.
    """

    streams: tuple[Stream, ...]
    seed: int
    at_ns: array[int]
    owner: array[int]
    turn: array[int]

    @classmethod
    def of(cls, load: PlannedLoad, seed: int) -> PlannedArrivals:
        """Raises ValueError for a load of the closed model, which plans no arrivals."""
        streams = load.streams
        if not streams:
            raise ValueError("a load of the closed model plans no arrivals")
        each = [arrivals_ns(stream.schedule, stream_seed(seed, stream.name)) for stream in streams]
        if len(each) == 1:
            return cls(streams, seed, each[0], array("I"), array("I"))
        return cls(streams, seed, *_merged(each))

    def __len__(self) -> int:
        return len(self.at_ns)

    def turn_of(self, seq: int) -> int:
        """The number of the arrival within its stream, from 0."""
        return self.turn[seq] if self.turn else seq

    def request_of(self, seq: int) -> int:
        """The place in `load.requests` of the request that the arrival sends."""
        stream = self.streams[self.owner[seq] if self.owner else 0]
        return stream.requests[request_index(self.seed, self.turn_of(seq), stream.weights)]

    def requests_of(self, seqs: NDArray[np.int64]) -> NDArray[np.int64]:
        """`request_of` each of these arrivals; an array of the same shape."""
        import numpy as np

        owner = np.asarray(self.owner)[seqs] if self.owner else np.zeros(len(seqs), np.uint32)
        turn = np.asarray(self.turn)[seqs] if self.turn else seqs
        requests = np.empty(len(seqs), np.int64)
        for index, stream in enumerate(self.streams):
            own = owner == index
            requests[own] = np.asarray(stream.requests)[request_indices(self.seed, turn[own], stream.weights)]
        return requests


def planned_peak_per_s(load: PlannedLoad, requests: Sequence[str] = ()) -> float:
    """The sum of the streams' highest planned rates, arrivals per second; 0 in the closed model.

    `requests`: only the arrivals that send one of these, by their names.
    """
    places = load.places(requests)
    return sum(peak_rate_per_s(stream.schedule) * stream.share(places) for stream in load.streams)


def stream_seed(seed: int, name: str) -> int:
    """The seed of a stream's arrival times; that of the load itself for the stream without a name."""
    if not name:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "big")


def _merged(each: Sequence[array[int]]) -> tuple[array[int], array[int], array[int]]:
    """Times, streams and numbers within the stream, by time; arrivals at the same time in the order of the streams."""
    if sum(map(len, each)) >= MANY:
        return _many_merged(each)
    times: array[int] = array("q")
    owner: array[int] = array("I")
    turn: array[int] = array("I")
    for index, own in enumerate(each):
        times.extend(own)
        owner.extend(array("I", [index]) * len(own))
        turn.extend(range(len(own)))
    order = sorted(range(len(times)), key=times.__getitem__)  # stable, and linear in sorted runs
    return (
        array("q", [times[place] for place in order]),
        array("I", [owner[place] for place in order]),
        array("I", [turn[place] for place in order]),
    )


def _many_merged(each: Sequence[array[int]]) -> tuple[array[int], array[int], array[int]]:
    """What `_merged` returns, by arrays of numpy."""
    import numpy as np

    times = np.concatenate([np.asarray(own) for own in each])
    order = np.argsort(times, kind="stable")
    owner = np.repeat(np.arange(len(each), dtype=np.uint32), [len(own) for own in each])
    turn = np.concatenate([np.arange(len(own), dtype=np.uint32) for own in each])
    return (
        array("q", times[order].tobytes()),
        array("I", owner[order].tobytes()),
        array("I", turn[order].tobytes()),
    )
