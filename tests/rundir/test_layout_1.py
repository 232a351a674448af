"""Runs whose rows were written in layout 1 are read into today's fields and judged as before."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray

from harness import verdict
from harness.rundir.rows import CALLS, ROUTE_UNKNOWN, SAMPLES, BrokenRows, RowLayout, read_rows
from tests.rundir.recording import Policy, make_plan, record, slow_fault

# The old writer's formats and the order of its values.
SAMPLES_1: Final = (
    "<QqqqQIHHBB14x",
    ("seq", "intended_ns", "sent_ns", "done_ns", "answered", "bytes", "status", "request", "outcome", "part"),
)
CALLS_1: Final = (
    "<QqqqIHBBBI3x",
    ("seq", "arrived_ns", "due_ns", "done_ns", "bytes", "status", "upstream", "behaviour", "flags", "faults"),
)


def write_layout_1(path: Path, old: tuple[str, tuple[str, ...]], rows: Iterable[Any]) -> None:
    """As `RowWriter` wrote a file and its footer in layout 1."""
    form, names = old
    data = b"".join(struct.pack(form, *(int(row[name]) for name in names)) for row in rows)
    path.write_bytes(data)
    footer = {"layout": 1, "rows": len(data) // struct.calcsize(form), "sha256": hashlib.sha256(data).hexdigest()}
    path.with_name(path.name + ".end").write_text(json.dumps(footer) + "\n", encoding="utf-8")


def to_layout_1(run_dir: Path) -> None:
    write_layout_1(run_dir / "samples-0.bin", SAMPLES_1, read_rows(run_dir / "samples-0.bin", SAMPLES))
    write_layout_1(run_dir / "calls-0.bin", CALLS_1, read_rows(run_dir / "calls-0.bin", CALLS))


def some_rows(layout: RowLayout) -> NDArray[Any]:
    rows = np.zeros(3, layout.dtype())
    for number, (name, _) in enumerate(layout.fields, 1):
        rows[name] = [number, number + 40, number + 90]
    return rows


@pytest.mark.parametrize(("layout", "old"), [(SAMPLES, SAMPLES_1), (CALLS, CALLS_1)])
def test_every_field_of_layout_1_is_read_and_the_others_are_unknown(
    tmp_path: Path, layout: RowLayout, old: tuple[str, tuple[str, ...]]
) -> None:
    rows = some_rows(layout)
    write_layout_1(tmp_path / "rows.bin", old, rows)
    read = read_rows(tmp_path / "rows.bin", layout)
    assert read.dtype == layout.dtype()
    unknown = {"first_ns": 0, "waited_us": 0, "route": ROUTE_UNKNOWN}
    for name, _ in layout.fields:
        expected = rows[name].tolist() if name in old[1] else [unknown[name]] * 3
        assert read[name].tolist() == expected, name


@pytest.mark.parametrize("policy", ["parallel", "sequential", "timeout"])
def test_a_stored_run_of_layout_1_is_judged_byte_for_byte_as_before(tmp_path: Path, policy: Policy) -> None:
    gates = ("p99 < gateway.timeout during azure-slow", "complete > 99% during baseline", "calls to azure < 1.5")
    run_dir = record(make_plan(faults=[slow_fault()], gates=gates), policy=policy).write(tmp_path)
    verdict.write(run_dir)
    kept = (run_dir / "results.json").read_bytes()
    to_layout_1(run_dir)
    results = verdict.write(run_dir)
    assert (run_dir / "results.json").read_bytes() == kept
    assert all(check.ok for check in results.validity if check.check == "files")


def test_damage_to_a_file_of_layout_1_is_measured_in_its_own_rows(tmp_path: Path) -> None:
    path = tmp_path / "calls-0.bin"
    write_layout_1(path, CALLS_1, some_rows(CALLS))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(BrokenRows, match="139 bytes where its footer says 3 rows of 48"):
        read_rows(path, CALLS)
    assert len(read_rows(path, CALLS, verify=False)) == 2


def test_a_file_without_its_footer_is_read_in_the_layout_of_the_runs_other_files(tmp_path: Path) -> None:
    write_layout_1(tmp_path / "samples-0.bin", SAMPLES_1, some_rows(SAMPLES))
    write_layout_1(tmp_path / "calls-0.bin", CALLS_1, some_rows(CALLS))
    (tmp_path / "samples-0.bin.end").unlink()
    assert read_rows(tmp_path / "samples-0.bin", SAMPLES, verify=False)["done_ns"].tolist() == [5, 45, 95]
