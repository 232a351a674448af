"""To which arrival, and to which request of it, each call of a backend belongs."""

from __future__ import annotations

import numpy as np

from harness.evidence.joining.row_table import Places, RowTable, blocks, place_type


def arrivals_of_calls(samples: RowTable, calls: RowTable) -> Places:
    """For each call the index in `samples` of the first request of the arrival whose number it carries; −1 if it
    carries no known number."""
    first = np.flatnonzero(samples["part"] == 0)
    seq = samples["seq"][first].astype(np.int64)
    index_of: Places = np.full(int(seq.max(initial=-1)) + 2, -1, place_type(len(samples)))
    index_of[seq] = first
    del first, seq
    last = np.uint64(len(index_of) - 1)
    arrivals: Places = np.empty(len(calls), index_of.dtype)
    for block in blocks(len(calls)):
        arrivals[block] = index_of[np.minimum(calls[block]["seq"], last).astype(np.int64)]
    return arrivals


def requests_of_calls(samples: RowTable, calls: RowTable, arrivals: Places) -> Places:
    """For each call the index in `samples` of the last request of its arrival that was sent before the call arrived;
    where there is none, what `arrivals` (of `arrivals_of_calls`) says."""
    requests = len(samples)
    is_call = np.repeat((False, True), (requests, len(calls)))
    seq = np.concatenate([samples["seq"], calls["seq"]])
    t_ns = np.concatenate([samples["sent_ns"], calls["arrived_ns"]])
    order = np.lexsort((is_call, t_ns, seq))
    index = np.where(is_call[order], -1, order)
    place = np.maximum.accumulate(np.where(index >= 0, np.arange(len(order)), -1))
    latest = np.where(place >= 0, index[place], -1)  # of each entry, the last request before it in this order
    belongs = np.full(len(calls), -1, np.int64)
    own = is_call[order]
    belongs[order[own] - requests] = latest[own]
    same = (belongs >= 0) & (samples["seq"][belongs] == calls["seq"])
    found: Places = np.where(same, belongs, arrivals).astype(arrivals.dtype)
    return found
