from __future__ import annotations

import json
import os
import resource
import signal
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.rundir.rows import CALLS, SAMPLES, BrokenRows, RowLayout, RowWriter, read_rows


@pytest.mark.parametrize("layout", [SAMPLES, CALLS])
def test_struct_and_numpy_read_the_same_bytes(layout: RowLayout) -> None:
    assert struct.calcsize(layout.format) == layout.size == layout.dtype().itemsize
    values = tuple(range(1, len(layout.fields) + 1))
    row = np.frombuffer(struct.pack(layout.format, *values), layout.dtype())[0]
    assert tuple(int(row[name]) for name, _ in layout.fields) == values


@given(st.lists(st.integers(0, 2**63 - 1), max_size=40), st.integers(1, 7))
def test_rows_come_back_whatever_the_buffer(seqs: list[int], capacity: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "samples-0.bin"
        with RowWriter(path, SAMPLES, capacity) as writer:
            for seq in seqs:
                writer.append(seq, -1, 2, 0, 3, 0, 5, 200, 0, 0, 0, 0)
        rows = read_rows(path, SAMPLES)
        assert rows["seq"].tolist() == seqs
        assert (rows["intended_ns"] == -1).all()


def _written(tmp_path: Path) -> Path:
    path = tmp_path / "samples-0.bin"
    with RowWriter(path, SAMPLES) as writer:
        for seq in range(3):
            writer.append(seq, 0, 0, 0, 0, 0, 0, 200, 0, 0, 0, 0)
    return path


def test_a_truncated_file_is_broken_but_still_readable(tmp_path: Path) -> None:
    path = _written(tmp_path)
    os.truncate(path, 2 * SAMPLES.size + 10)
    with pytest.raises(BrokenRows, match="138 bytes where its footer says 3 rows of 64"):
        read_rows(path, SAMPLES)
    assert len(read_rows(path, SAMPLES, verify=False)) == 2


def test_a_changed_byte_a_missing_footer_and_a_foreign_layout_are_told_apart(tmp_path: Path) -> None:
    path = _written(tmp_path)
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)
    with pytest.raises(BrokenRows, match="does not match the digest"):
        read_rows(path, SAMPLES)
    end = path.with_name("samples-0.bin.end")
    end.write_text(json.dumps({"layout": 9, "rows": 3, "sha256": ""}))
    with pytest.raises(BrokenRows, match="layout 9"):
        read_rows(path, SAMPLES)
    end.write_text("{")
    with pytest.raises(BrokenRows, match="is not a footer"):
        read_rows(path, SAMPLES)
    end.unlink()
    with pytest.raises(BrokenRows, match="was never closed"):
        read_rows(path, SAMPLES)
    path.unlink()
    with pytest.raises(BrokenRows, match="is missing"):
        read_rows(path, SAMPLES)


def test_a_disk_that_takes_no_more_leaves_whole_rows(tmp_path: Path) -> None:
    """RLIMIT_FSIZE lets a write stop in the middle of a row, as a full disk does."""
    path = tmp_path / "samples-0.bin"
    former_signal = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer = RowWriter(path, SAMPLES, capacity=10)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (15 * SAMPLES.size + 7, former[1]))
        with pytest.raises(OSError, match="too large"):
            for seq in range(30):
                writer.append(seq, 0, 0, 0, 0, 0, 0, 200, 0, 0, 0, 0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
        signal.signal(signal.SIGXFSZ, former_signal)
    assert path.stat().st_size == 10 * SAMPLES.size
    writer.close()
    assert read_rows(path, SAMPLES)["seq"].tolist() == list(range(20))
