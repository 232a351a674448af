"""What the service cost at each reading of a run: arrays from resources.ndjson, cut by phase. Pure; judges nothing.

A figure that the system did not tell, that an older run directory has not, or that is damaged is NaN. Where the
service is not a process of ours there are no readings at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self, TypeGuard

import numpy as np
from numpy.typing import NDArray

from harness.rundir.manifest import SERVICE
from harness.units import NS_PER_S, format_count

LISTENING: Final = "LISTEN"
"""The state of sockets that wait for connections: there is nothing in them to leak."""
_STATE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,15}")
_FIGURES: Final = ("rss_bytes", "threads", "fds", "cpu_s")

Floats = NDArray[np.float64]
States = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ResourceSeries:
    """One entry a reading, in order of time; the service's whole process tree together."""

    t_ns: NDArray[np.int64]
    rss_bytes: Floats
    threads: Floats
    fds: Floats
    cpu_s: Floats
    """Since the service began."""
    sockets: Floats
    """TCP, without those that listen."""
    by_state: tuple[States | None, ...]

    @classmethod
    def of(cls, lines: Iterable[Mapping[str, object]], child: str = SERVICE) -> Self:
        """From the lines of resources.ndjson; those of other children and those without a time are passed over."""
        own = [line for line in lines if line.get("child") == child and _is_count(line.get("t_ns"))]
        times = np.array([line["t_ns"] for line in own], dtype=np.int64)
        order = np.argsort(times, kind="stable")
        ordered = [own[place] for place in order.tolist()]
        states = tuple(_states(line.get("sockets")) for line in ordered)
        sockets = [np.nan if each is None else float(connections(each)) for each in states]
        figures = {name: np.array([_number(line.get(name)) for line in ordered], np.float64) for name in _FIGURES}
        return cls(t_ns=times[order], **figures, sockets=np.array(sockets, np.float64), by_state=states)

    def __len__(self) -> int:
        return len(self.t_ns)

    def within(self, spans: Sequence[tuple[int, int]], stop_ns: int | None) -> Self:
        """Those in [start, end) of any span (absolute ns), and before the load was stopped."""
        chosen = np.zeros(len(self.t_ns), np.bool_)
        for start_ns, end_ns in spans:
            chosen |= (self.t_ns >= start_ns) & (self.t_ns < end_ns)
        if stop_ns is not None:
            chosen &= self.t_ns < stop_ns
        return self._only(chosen)

    def apart_from(self, seconds: frozenset[int], t0_ns: int) -> Self:
        """Without those of these seconds from t = 0 and of the one after each: the rig spoiled them."""
        second = (self.t_ns - t0_ns) // NS_PER_S
        spoiled = list(seconds | {each + 1 for each in seconds})
        return self._only(~np.isin(second, spoiled)) if seconds else self

    def knowing(self, figure: str) -> Self:
        """Those that tell this figure."""
        return self._only(~np.isnan(self.figure(figure)))

    def since(self, start_ns: int) -> Self:
        return self._only(self.t_ns >= start_ns)

    def last(self, most: int) -> Self:
        chosen = np.ones(len(self.t_ns), np.bool_)
        chosen[:-most] = False
        return self._only(chosen)

    def figure(self, name: str) -> Floats:
        values: Floats = getattr(self, name)
        return values

    def _only(self, chosen: NDArray[np.bool_]) -> Self:
        return type(self)(
            t_ns=self.t_ns[chosen],
            rss_bytes=self.rss_bytes[chosen],
            threads=self.threads[chosen],
            fds=self.fds[chosen],
            cpu_s=self.cpu_s[chosen],
            sockets=self.sockets[chosen],
            by_state=tuple(self.by_state[place] for place in np.flatnonzero(chosen).tolist()),
        )


def parse_reading(line: bytes) -> dict[str, object]:
    """A line of resources.ndjson: a figure may be missing or null; raises ValueError where it is anything else."""
    document = json.loads(line)
    if not _is_reading(document):
        raise ValueError("not a reading")
    return document


def _is_reading(document: object) -> TypeGuard[dict[str, object]]:
    if not isinstance(document, dict) or not isinstance(document.get("child"), str):
        return False
    figures = [document.get(name) for name in _FIGURES]
    sockets = document.get("sockets")
    return (
        _is_count(document.get("t_ns"))
        and all(figure is None or not np.isnan(_number(figure)) for figure in figures)
        and (sockets is None or _states(sockets) is not None)
    )


def connections(states: States) -> int:
    """Sockets in any state but LISTEN."""
    return sum(count for state, count in states.items() if state != LISTENING)


def in_order(states: States) -> list[tuple[str, int]]:
    """State and count of the sockets that do not only listen, the most frequent first."""
    ordered = sorted(states.items(), key=lambda each: (-each[1], each[0]))
    return [(state, count) for state, count in ordered if state != LISTENING]


def format_states(states: States) -> str:
    """`140 CLOSE_WAIT, 4 ESTABLISHED`, the most frequent first; empty where all only listen."""
    return ", ".join(f"{format_count(count)} {state}" for state, count in in_order(states))


def _states(value: object) -> States | None:
    if not isinstance(value, dict):
        return None
    known = all(_STATE.fullmatch(state) and _is_count(count) for state, count in value.items())
    return value if known else None


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return np.nan
    return float(value) if 0 <= value < np.inf else np.nan


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
