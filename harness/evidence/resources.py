"""The readings of the service's memory, threads, file descriptors, sockets and processor time, as arrays. Pure.

A figure is NaN if the system did not report it, if it is damaged, or if the run is of a version that did not record it.
If tailgate did not start the service there are no readings at all. Nothing is judged here.
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
from harness.units import NS_PER_S, Span, format_count

LISTENING: Final = "LISTEN"
"""The state of sockets that wait for connections. They are not counted, because they do not leak."""
_STATE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,15}")
_FIGURES: Final = ("rss_bytes", "threads", "fds", "cpu_s", "log_bytes")
_OTHER_FIGURES: Final = ("run_delay_s", "cores", "others_cpu_s", "stolen_cpu_s", "pressure_s")
"""Figures of a line that `harness.evidence.cores` reads."""

Floats = NDArray[np.float64]
States = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ResourceSeries:
    """Arrays with one entry for each reading, in order of time. Figures are sums over the service's process tree."""

    t_ns: NDArray[np.int64]
    rss_bytes: Floats
    threads: Floats
    fds: Floats
    cpu_s: Floats
    """Processor seconds since the service began."""
    log_bytes: Floats
    """The size of the service's log."""
    sockets: Floats
    """TCP sockets that do not listen."""
    by_state: tuple[States | None, ...]
    """The number of TCP sockets in each state; None if they were not counted."""

    @classmethod
    def of(cls, lines: Iterable[Mapping[str, object]], child: str = SERVICE) -> Self:
        """From the lines of resources.ndjson about `child` (the service); lines without a time are left out."""
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

    def within(self, spans: Sequence[Span], stop_ns: int | None) -> Self:
        """The readings in [start, end) of any span and before `stop_ns`, if the load was stopped."""
        chosen = np.zeros(len(self.t_ns), np.bool_)
        for start_ns, end_ns in spans:
            chosen |= (self.t_ns >= start_ns) & (self.t_ns < end_ns)
        if stop_ns is not None:
            chosen &= self.t_ns < stop_ns
        return self._only(chosen)

    def apart_from(self, seconds: frozenset[int], t0_ns: int) -> Self:
        """The readings outside these seconds (counted from t = 0) and the second after each, in which the late load
        generator affected the service."""
        second = (self.t_ns - t0_ns) // NS_PER_S
        affected = list(seconds | {each + 1 for each in seconds})
        return self._only(~np.isin(second, affected)) if seconds else self

    def outside(self, spans: Sequence[Span]) -> Self:
        """The readings outside these spans."""
        chosen = np.ones(len(self.t_ns), np.bool_)
        for begin_ns, end_ns in spans:
            chosen &= (self.t_ns < begin_ns) | (self.t_ns >= end_ns)
        return self._only(chosen)

    def knowing(self, figure: str) -> Self:
        """The readings that have this figure."""
        return self._only(~np.isnan(self.figure(figure)))

    def since(self, start_ns: int) -> Self:
        """The readings at or after `start_ns` (absolute)."""
        return self._only(self.t_ns >= start_ns)

    def last(self, most: int) -> Self:
        """The last readings, at most so many."""
        chosen = np.ones(len(self.t_ns), np.bool_)
        chosen[:-most] = False
        return self._only(chosen)

    def figure(self, name: str) -> Floats:
        """The array of that name: `rss_bytes`, `threads`, `fds`, `cpu_s`, `log_bytes` or `sockets`."""
        values: Floats = getattr(self, name)
        return values

    def _only(self, chosen: NDArray[np.bool_]) -> Self:
        return type(self)(
            t_ns=self.t_ns[chosen],
            rss_bytes=self.rss_bytes[chosen],
            threads=self.threads[chosen],
            fds=self.fds[chosen],
            cpu_s=self.cpu_s[chosen],
            log_bytes=self.log_bytes[chosen],
            sockets=self.sockets[chosen],
            by_state=tuple(self.by_state[place] for place in np.flatnonzero(chosen).tolist()),
        )


def parse_reading(line: bytes) -> dict[str, object]:
    """A line of resources.ndjson. A figure may be missing or null. Raises ValueError if the line is anything else."""
    document = json.loads(line)
    if not _is_reading(document):
        raise ValueError("not a reading")
    return document


def _is_reading(document: object) -> TypeGuard[dict[str, object]]:
    if not isinstance(document, dict) or not isinstance(document.get("child"), str):
        return False
    figures = [document.get(name) for name in (*_FIGURES, *_OTHER_FIGURES)]
    sockets = document.get("sockets")
    return (
        _is_count(document.get("t_ns"))
        and all(figure is None or not np.isnan(_number(figure)) for figure in figures)
        and (sockets is None or _states(sockets) is not None)
    )


def connections(states: States) -> int:
    """The number of sockets in any state but LISTEN."""
    return sum(count for state, count in states.items() if state != LISTENING)


def in_order(states: States) -> list[tuple[str, int]]:
    """Each state but LISTEN with its number of sockets, the most frequent first."""
    ordered = sorted(states.items(), key=lambda each: (-each[1], each[0]))
    return [(state, count) for state, count in ordered if state != LISTENING]


def format_states(states: States) -> str:
    """`140 CLOSE_WAIT, 4 ESTABLISHED`, the most frequent first; empty if there are no sockets in other states than
    LISTEN."""
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
