"""From a worker's row file to the master's: whatever the network loses, repeats or reorders."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import RigError
from harness.remote import row_spool
from harness.remote.messages import Rows, RowsEnd, RowsTaken
from harness.remote.row_receiver import RowReceiver
from harness.remote.row_spool import RESEND_NS, RowSpool
from harness.rundir.rows import SAMPLES, RowWriter, read_rows

OFFSET_NS = 5_000_000_000_000


def write(writer: RowWriter, begin: int, end: int) -> None:
    for seq in range(begin, end):
        first_ns = 0 if seq % 3 else OFFSET_NS + 3
        writer.append(seq, OFFSET_NS + seq, OFFSET_NS + seq + 1, first_ns, OFFSET_NS + seq + 9, 3, 2, 200, 0, 7, 0, 0)
    writer.flush()


@contextmanager
def receiving(folder: Path) -> Iterator[RowReceiver]:
    master = RowReceiver(folder / "samples-0.bin", name="worker 0 (b)", offset_ns=OFFSET_NS)
    yield master
    master.abandon()


def spool_of(folder: Path, rows: int) -> RowSpool:
    """With so many rows in a file that is not closed yet."""
    (folder / "there").mkdir()
    writer = RowWriter(folder / "there" / "samples-0.bin", SAMPLES)
    write(writer, 0, rows)
    writer.abandon()
    return RowSpool(folder / "there" / "samples-0.bin")


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), rows=st.integers(0, 300), batch=st.integers(20, 60))
def test_every_row_arrives_once_through_a_network_that_loses_repeats_and_reorders(
    tmp_path_factory: pytest.TempPathFactory, seed: int, rows: int, batch: int
) -> None:
    rng, there, here = random.Random(seed), tmp_path_factory.mktemp("there"), tmp_path_factory.mktemp("here")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_spool, "_BATCH", batch * SAMPLES.size)
        patch.setattr(row_spool, "AHEAD_MOST", 4 * batch * SAMPLES.size)
        master = RowReceiver(here / "samples-0.bin", name="worker 0", offset_ns=OFFSET_NS)
        spool = RowSpool(there / "samples-0.bin")
        writer, written, now_ns = RowWriter(there / "samples-0.bin", SAMPLES), 0, 0
        under_way: list[Rows | RowsEnd] = []
        for _ in range(2_000):
            now_ns += RESEND_NS // 3
            if written < rows:
                more = min(rows, written + rng.randrange(80))
                write(writer, written, more)
                written = more
            else:
                writer.close()
            under_way += [message for message in spool.next(now_ns) for _ in range(rng.choice([0, 1, 1, 2]))]
            rng.shuffle(under_way)
            for message in under_way[: rng.randrange(4)]:
                answer = master.take(message) if isinstance(message, Rows) else master.end(message)
                if rng.random() < 0.7:
                    spool.taken(answer, now_ns)
            del under_way[:3]
            if spool.closed:
                break
    assert spool.closed and master.closed
    found = read_rows(here / "samples-0.bin", SAMPLES)
    assert found["seq"].tolist() == list(range(rows))
    assert found["intended_ns"].tolist() == list(range(rows))
    assert found["first_ns"].tolist() == [0 if seq % 3 else 3 for seq in range(rows)]  # unknown stays unknown
    there_rows = np.array(read_rows(there / "samples-0.bin", SAMPLES))
    assert (there_rows["done_ns"] - there_rows["intended_ns"] == found["done_ns"] - found["intended_ns"]).all()


def test_no_more_is_under_way_than_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_spool, "_BATCH", 10 * SAMPLES.size)
    monkeypatch.setattr(row_spool, "AHEAD_MOST", 20 * SAMPLES.size)
    spool = spool_of(tmp_path, 50)
    assert [each.first for each in spool.next(0) if isinstance(each, Rows)] == [0, 10]
    assert spool.next(RESEND_NS - 1) == []
    spool.taken(RowsTaken(rows=10), RESEND_NS - 1)
    assert [each.first for each in spool.next(RESEND_NS) if isinstance(each, Rows)] == [20]


def test_what_is_not_acknowledged_is_sent_again_from_the_last_acknowledged_row_on(tmp_path: Path) -> None:
    spool = spool_of(tmp_path, 4)
    (first,) = spool.next(0)
    assert spool.next(RESEND_NS - 1) == []
    assert spool.next(RESEND_NS) == [first]


def test_a_batch_that_was_changed_on_its_way_is_noticed(tmp_path: Path) -> None:
    (message,) = spool_of(tmp_path, 4).next(0)
    assert isinstance(message, Rows)
    changed = message.model_copy(update={"data": bytes([message.data[0] ^ 1]) + message.data[1:]})
    with receiving(tmp_path) as master, pytest.raises(RigError, match=r"rows of worker 0 \(b\) came damaged"):
        master.take(changed)


def test_another_digest_at_the_end_is_a_rig_failure(tmp_path: Path) -> None:
    with receiving(tmp_path) as master, pytest.raises(RigError, match="are not those that it wrote"):
        master.end(RowsEnd(rows=0, sha256="0" * 64))


def test_an_end_that_overtakes_rows_closes_nothing(tmp_path: Path) -> None:
    with receiving(tmp_path) as master:
        assert master.end(RowsEnd(rows=3, sha256="0" * 64)) == RowsTaken(rows=0, closed=False)
    assert not (tmp_path / "samples-0.bin.end").exists()
