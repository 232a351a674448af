from __future__ import annotations

from pathlib import Path

from harness.run.live_stats import FIRST_ROWS, LiveSamples, snapshot
from harness.rundir.rows import SAMPLES, Outcome, RowWriter

MS = 1_000_000


def _append(writer: RowWriter, seq: int, latency_ms: int, outcome: Outcome = Outcome.OK) -> None:
    intended = seq * 10 * MS
    writer.append(seq, intended, intended, 0, intended + latency_ms * MS, 0, 0, 200, 0, 0, outcome, 0)


def test_only_whole_new_rows_are_read(tmp_path: Path) -> None:
    live = LiveSamples(tmp_path, workers=2)
    assert len(live.update()) == 0
    with (
        RowWriter(tmp_path / "samples-0.bin", SAMPLES) as first,
        RowWriter(tmp_path / "samples-1.bin", SAMPLES) as second,
    ):
        _append(first, 0, 5)
        first.flush()
        assert live.update()["seq"].tolist() == [0]
        _append(second, 1, 5)
        second.flush()
        with (tmp_path / "samples-1.bin").open("ab") as file:
            file.write(b"half a row")
        assert live.update()["seq"].tolist() == [0, 1]
        assert live.update()["seq"].tolist() == [0, 1]


def test_a_row_is_copied_once_or_twice_in_however_long_a_run(tmp_path: Path) -> None:
    live = LiveSamples(tmp_path, workers=1)
    with RowWriter(tmp_path / "samples-0.bin", SAMPLES) as writer:
        places = set()
        for tick in range(64):
            for seq in range(tick * FIRST_ROWS // 8, (tick + 1) * FIRST_ROWS // 8):
                _append(writer, seq, 5)
            writer.flush()
            rows = live.update()
            assert rows["seq"].tolist() == list(range(len(rows)))
            places.add(rows.__array_interface__["data"][0])
    assert len(rows) == 8 * FIRST_ROWS
    assert len(places) <= 4, "the rows move when their number has doubled, not at every tick"


def test_a_failed_request_ranks_as_infinite(tmp_path: Path) -> None:
    with RowWriter(tmp_path / "samples-0.bin", SAMPLES) as writer:
        for seq in range(98):
            _append(writer, seq, 5)
        _append(writer, 98, 5, Outcome.GATEWAY_TIMEOUT)
        _append(writer, 99, 5, Outcome.CONNECTION_ERROR)
    rows = LiveSamples(tmp_path, workers=1).update()
    seen = snapshot(rows, since_ns=0, now_ns=1_000 * MS)
    assert (seen.n, seen.errors, seen.gateway_timeouts, seen.p99_ms) == (100, 2, 1, float("inf"))
    healthy = snapshot(rows[:98], since_ns=0, now_ns=1_000 * MS)
    assert healthy.p99_ms == 5
    assert snapshot(rows, since_ns=10**12, now_ns=10**12).p99_ms is None
