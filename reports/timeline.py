"""A run along time: percentiles, outcomes and load in bins that are cut where a fault begins or ends.

Each bin speaks of its own rows alone. Nothing is smoothed and no bin straddles a fault's edge: either
would show latency rising before the fault. Of millions of rows each bin's are handled alone, so that the copies that
are made of them stay small.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from harness.rundir.rows import Outcome

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Rows = NDArray[Any]

_WIDTHS_MS: Final = (500, 1000, 2000, 5000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000)
_MOST_BINS: Final = 160
_LEAST_BINS: Final = 40
_WORTH_ROWS: Final = 40  # rows in a bin below which its p99 is little but noise
_FAILED: Final = 1e15  # above any latency in ms: failures rank last, behind every success


@dataclass(frozen=True, slots=True)
class Bins:
    """`edges_ms` has one more entry than there are bins; `width_ms` is the width aimed at."""

    edges_ms: Floats
    width_ms: float

    def __len__(self) -> int:
        return len(self.edges_ms) - 1

    @property
    def slivers(self) -> NDArray[np.bool_]:
        """Bins that a cut left too narrow to say anything of their own."""
        import numpy as np

        return np.diff(self.edges_ms) < self.width_ms / 4

    def of(self, t_ms: Floats) -> NDArray[np.signedinteger]:
        """Each time's bin; -1 or len(self) outside."""
        import numpy as np

        small = np.int16 if len(self) < 2**15 else np.int64
        return (np.searchsorted(self.edges_ms, t_ms, side="right") - 1).astype(small)


@dataclass(frozen=True, slots=True)
class Quantiles:
    """One figure a bin, NaN where it has no rows; `failed`: the row at that rank did not succeed."""

    value_ms: Floats
    failed: NDArray[np.bool_]
    n: NDArray[np.int64]


def bins_for(start_ms: float, end_ms: float, cuts_ms: Iterable[float], n: int) -> Bins:
    """Bins over [start, end), cut at every time in `cuts_ms`, about as fine as `n` rows bear."""
    import numpy as np

    span_ms = max(end_ms - start_ms, 1.0)
    width_ms = float(next((width for width in _WIDTHS_MS if _bearable(span_ms / width, n)), _WIDTHS_MS[-1]))
    cuts = sorted({start_ms, start_ms + span_ms, *(cut for cut in cuts_ms if start_ms < cut < start_ms + span_ms)})
    pieces = [
        np.linspace(left, right, max(1, round((right - left) / width_ms)), endpoint=False)
        for left, right in itertools.pairwise(cuts)
    ]
    return Bins(np.concatenate([*pieces, [cuts[-1]]]), width_ms)


def _bearable(bins: float, n: int) -> bool:
    return bins <= _MOST_BINS and (bins <= _LEAST_BINS or n / bins >= _WORTH_ROWS)


def p99_by_group(
    group: NDArray[np.signedinteger], groups: int, value_ms: Floats, failed: NDArray[np.bool_] | None = None
) -> Quantiles:
    """Nearest-rank p99 of each group's own rows, failures ranked after every success.

    A failed rank shows the time at which that request ended. Rows whose group is outside
    [0, groups) are passed over.
    """
    import numpy as np

    from harness.evidence.joining.row_table import blocks

    pieces: list[list[Floats]] = [[] for _ in range(groups)]
    for block in blocks(len(group)):
        # numpy sorts 16-bit integers by radix: a tenth of a comparison sort
        order = np.argsort(group[block], kind="stable")
        ranked = value_ms[block][order]
        if failed is not None:
            ranked[failed[block][order]] += _FAILED
        own, starts = np.unique(group[block][order], return_index=True)
        for index, rows in zip(own.tolist(), np.split(ranked, starts[1:]), strict=True):
            if 0 <= index < groups:
                pieces[index].append(rows)
    value = np.full(groups, np.nan)
    n = np.array([sum(map(len, each)) for each in pieces], np.int64)
    for index in np.flatnonzero(n):
        rank = (99 * int(n[index]) + 99) // 100 - 1
        value[index] = np.partition(np.concatenate(pieces[index]), rank)[rank]
    lost = value >= _FAILED / 2
    return Quantiles(np.where(lost, value - _FAILED, value), lost, n)


def standing_ms(
    done_ns: NDArray[np.int64], windows: Sequence[tuple[int, int, float]]
) -> tuple[Floats, NDArray[np.bool_]]:
    """The delay that stood between a backend and its caller when it answered, and whether any fault did at all.

    `windows`: (applied_ns, removed_ns, delay_ms) of one upstream; of several at once the largest delay counts.
    """
    import numpy as np

    standing = np.zeros(len(done_ns))
    met = np.zeros(len(done_ns), np.bool_)
    for applied_ns, removed_ns, delay_ms in windows:
        inside = (done_ns >= applied_ns) & (done_ns < removed_ns)
        standing[inside] = np.maximum(standing[inside], delay_ms)
        met |= inside
    return standing, met


@dataclass(frozen=True, slots=True)
class Flow:
    """Per bin: requests sent, answered with success (both per second), and open at the bin's end."""

    sent_per_s: Floats
    ok_per_s: Floats
    in_flight: NDArray[np.int64]


def outcomes_by_bin(bins: Bins, bin_of: NDArray[np.signedinteger], outcome: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Counts, outcomes × bins, of arrivals by intended time."""
    import numpy as np

    counts = np.zeros((len(Outcome), len(bins)), np.int64)
    for kind in np.flatnonzero(_counted(outcome, len(Outcome))).tolist():
        counts[kind] = _counted(bin_of[outcome == kind], len(bins))
    return counts


def flow_by_bin(bins: Bins, rows: Iterable[tuple[Floats, Floats, NDArray[np.uint8]]]) -> Flow:
    """`rows`, piece by piece: the times in ms of sending and of the last byte, and the outcomes. A dropped request was
    never sent."""
    import numpy as np

    sent, done, ok = (np.zeros(len(bins), np.int64) for _ in range(3))
    open_at_start = 0
    for sent_ms, done_ms, outcome in rows:
        was_sent = outcome != Outcome.DROPPED
        sent += _counted(bins.of(sent_ms[was_sent]), len(bins))
        done += _counted(bins.of(done_ms[was_sent]), len(bins))
        ok += _counted(bins.of(done_ms[outcome == Outcome.OK]), len(bins))
        # the counts before the first edge are those of the warm-up, still open or not
        before = [int((t_ms[was_sent] < bins.edges_ms[0]).sum()) for t_ms in (sent_ms, done_ms)]
        open_at_start += before[0] - before[1]
    widths_s = np.diff(bins.edges_ms) / 1000
    return Flow(_per_s(bins, sent, widths_s), _per_s(bins, ok, widths_s), open_at_start + np.cumsum(sent - done))


def _per_s(bins: Bins, counts: NDArray[np.int64], widths_s: Floats) -> Floats:
    """Counts as rates; a sliver shares the rate of itself and its successor, or a chart would jump at every cut."""
    import numpy as np

    rates = counts / widths_s
    for index in np.flatnonzero(bins.slivers[:-1]):
        both = slice(index, index + 2)
        rates[both] = counts[both].sum() / widths_s[both].sum()
    return rates


def _counted(group: NDArray[np.integer], groups: int) -> NDArray[np.int64]:
    """How many rows each group has; those of no group are passed over."""
    import numpy as np

    from harness.evidence.joining.row_table import blocks

    counts = np.zeros(groups, np.int64)
    for block in blocks(len(group)):  # numpy makes a copy in 64 bits first
        own = group[block]
        counts += np.bincount(own[(own >= 0) & (own < groups)], minlength=groups)
    return counts
