"""Reads the files of a run directory as far as they are intact, and describes those that are damaged.

Only a directory without a readable plan and manifest raises UsageError. Nothing is joined or judged here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from harness.errors import UsageError
from harness.evidence.detections.recorded import Detections
from harness.evidence.joining.clocks import WorkerClock, clocks_of
from harness.evidence.joining.row_table import Places, RowTable, place_type
from harness.evidence.resources import parse_reading
from harness.rundir.canaries import CanaryLine, read_canaries
from harness.rundir.detections import FILE as DETECTIONS
from harness.rundir.detections import read_detections
from harness.rundir.incomplete import IncompleteAnswer, read_incomplete
from harness.rundir.journal import Entry, read_journal
from harness.rundir.locustfile.notes import LocustfileNote, read_locustfile_notes
from harness.rundir.locustfile.request_names import all_names, read_names
from harness.rundir.manifest import Manifest
from harness.rundir.metrics.readings import MetricReading, read_metrics
from harness.rundir.ndjson import DamagedLine, read_ndjson
from harness.rundir.origin_notes import OriginNote, read_origin_notes
from harness.rundir.plan import Plan
from harness.rundir.remote.clocks import FILE as CLOCKS
from harness.rundir.remote.clocks import read_clocks
from harness.rundir.rows import CALLS, FLAG_CANARY, LOGIN_SEQ, SAMPLES, BrokenRows, RowLayout, read_rows
from harness.rundir.sessions.login_record import LoginRecord, read_logins
from harness.rundir.unmatched import Unmatched, read_unmatched
from harness.rundir.yardstick import Yardstick, read_yardstick

Line = TypeVar("Line")
RESOURCES: Final = "resources.ndjson"


@dataclass(slots=True)
class RunFiles:
    """The contents of one run directory. `broken`: for each damaged or missing file, what is wrong with it."""

    plan: Plan
    manifest: Manifest
    samples: RowTable
    """Rows of requests in order of intended time."""
    calls: RowTable
    """Rows of backend calls, without those of canaries."""
    entries: tuple[Entry, ...]
    canaries: tuple[CanaryLine, ...]
    resources: tuple[dict[str, object], ...]
    detections: Detections | None
    """None: the run has no file of detections."""
    incomplete: tuple[IncompleteAnswer, ...] = ()
    unmatched: tuple[Unmatched, ...] = ()
    origin_notes: tuple[OriginNote, ...] = ()
    metrics: tuple[MetricReading, ...] = ()
    locustfile_notes: tuple[LocustfileNote, ...] = ()
    clocks: dict[int, WorkerClock] = field(default_factory=dict)
    """The clocks of workers on other machines, by the worker's number."""
    logins: LoginRecord | None = None
    yardstick: Yardstick | None = None
    broken: list[str] = field(default_factory=list)


def read_run(run_dir: Path) -> RunFiles:
    """Read a run directory. Raises UsageError if it has no plan and manifest that this tailgate can read."""
    plan, manifest = _read_head(run_dir)
    broken: list[str] = []
    samples = [_rows(run_dir / f"samples-{i}.bin", SAMPLES, broken) for i in range(plan.load.workers)]
    clocks = _clocks(run_dir, plan, broken)
    samples = [clocks[i].corrected(rows) if i in clocks else rows for i, rows in enumerate(samples)]
    if plan.load.locustfile is not None:
        plan, samples = _named(run_dir, plan, samples, broken)
    return RunFiles(
        plan=plan,
        manifest=manifest,
        samples=in_order(samples),
        calls=_of_the_load(_call_files(run_dir, plan, broken)),
        entries=_lines(read_journal, run_dir / "faults.ndjson", broken),
        canaries=_lines(read_canaries, run_dir / "canary.ndjson", broken),
        resources=read_resources(run_dir, broken),
        detections=_detections(run_dir / DETECTIONS, broken),
        incomplete=read_incomplete(run_dir, plan.load.workers),
        unmatched=read_unmatched(run_dir),
        origin_notes=read_origin_notes(run_dir),
        metrics=read_metrics(run_dir, broken),
        locustfile_notes=tuple(
            note for worker in range(plan.load.workers) for note in read_locustfile_notes(run_dir, worker)
        ),
        clocks=clocks,
        logins=read_logins(run_dir, plan.load.workers),
        yardstick=read_yardstick(run_dir),
        # a run that ended before its load began has no rows, and its manifest says why
        broken=broken if manifest.t0_ns is not None else [],
    )


def _named(
    run_dir: Path, plan: Plan, samples: list[NDArray[Any]], broken: list[str]
) -> tuple[Plan, list[NDArray[Any]]]:
    """The plan with a request for each name of the locustfile, and the rows of each worker with its numbers in it."""
    try:
        of_workers = read_names(run_dir, plan.load.workers)
    except (ValueError, OSError) as exc:
        broken.append(str(exc))
        of_workers = ((),) * plan.load.workers
    names = all_names(of_workers)
    load = plan.load.with_names(names, [upstream.name for upstream in plan.upstreams])
    numbers = {name: number for number, name in enumerate(names, 1)}
    numbered = []
    for own, rows in zip(of_workers, samples, strict=True):
        places = np.array([0, *(numbers[name] for name in own)], np.uint16)
        known = rows
        if len(rows) and int(rows["request"].max()) >= len(places):
            broken.append("a row has a request whose name is in no names-*.ndjson")
            known = rows[rows["request"] < len(places)]
        if len(known) and (places != np.arange(len(places))).any():
            known = known.copy()
            known["request"] = places[known["request"]]
        numbered.append(known)
    return plan.model_copy(update={"load": load}), numbered


def read_resources(run_dir: Path, broken: list[str]) -> tuple[dict[str, object], ...]:
    """Every intact line of resources.ndjson. A last line that is cut short is ignored; the first other damaged line is
    appended to `broken`, because it may hide the highest reading."""
    damaged: list[DamagedLine] = []
    try:
        readings = tuple(read_ndjson(run_dir / RESOURCES, parse_reading, "a reading", pass_over=damaged.append))
    except OSError as exc:
        broken.append(f"{RESOURCES} cannot be read: {exc.strerror}")
        return ()
    broken.extend(str(each) for each in damaged[:1])
    return readings


def in_order(parts: Sequence[NDArray[Any]]) -> RowTable:
    """All rows of samples in order of intended time. Dense sequence numbers give that order without sorting."""
    rows = RowTable.of(parts, SAMPLES, keep=("intended_ns", "done_ns"))
    if (order := _places_by_seq(rows)) is not None:
        dense = rows.ordered(order)
        intended_ns = dense["intended_ns"]
        if (intended_ns[1:] >= intended_ns[:-1]).all():
            return dense
    order = np.lexsort((rows["part"], rows["seq"], rows["intended_ns"]))
    return rows.ordered(order.astype(place_type(len(rows))))


def _places_by_seq(rows: RowTable) -> Places | None:
    """Where the row of each number is; None unless each number below that of the rows has one."""
    seq = rows["seq"]
    if int(seq.max(initial=0)) != len(rows) - 1:
        return None
    order: Places = np.full(len(rows), -1, place_type(len(rows)))
    order[seq.astype(np.int64)] = np.arange(len(rows), dtype=order.dtype)
    return order if order.min() >= 0 else None


def _read_head(run_dir: Path) -> tuple[Plan, Manifest]:
    try:
        return Plan.read(run_dir), Manifest.read(run_dir)
    except FileNotFoundError as exc:
        missing = Path(exc.filename).name
        raise UsageError(
            f"{run_dir} is no run directory: {missing} is missing", "name a directory under .runs"
        ) from exc
    except (ValidationError, OSError) as exc:
        what = exc.errors()[0]["msg"] if isinstance(exc, ValidationError) else exc.strerror
        raise UsageError(
            f"{run_dir} cannot be read by this tailgate: {what}", "judge it with the version that wrote it"
        ) from exc


def _rows(path: Path, layout: RowLayout, broken: list[str]) -> NDArray[Any]:
    try:
        return read_rows(path, layout)
    except BrokenRows as exc:
        broken.append(str(exc))
    try:
        return read_rows(path, layout, verify=False)
    except BrokenRows:
        return np.empty(0, layout.dtype())


def _call_files(run_dir: Path, plan: Plan, broken: list[str]) -> list[NDArray[Any]]:
    paths = sorted(run_dir.glob("calls-*.bin"))
    if not paths and any(upstream.records_calls for upstream in plan.upstreams):
        broken.append("calls-0.bin is missing")
    return [_rows(path, CALLS, broken) for path in paths]


def _of_the_load(parts: Sequence[NDArray[Any]]) -> RowTable:
    """The calls without those of canaries and of logins, which are no part of what is measured."""
    calls = RowTable.of(parts, CALLS)
    others = ((calls["flags"] & FLAG_CANARY) != 0) | (calls["seq"] == LOGIN_SEQ)
    return calls[~others] if others.any() else calls


def _clocks(run_dir: Path, plan: Plan, broken: list[str]) -> dict[int, WorkerClock]:
    """Empty if the workers were on this machine. A clock that is unknown, or that jumped, is damage."""
    if plan.load.remote is None:
        return {}
    clocks = clocks_of(_lines(read_clocks, run_dir, broken))
    for index in range(plan.load.workers):
        if index not in clocks:
            broken.append(f"{CLOCKS} does not say how the clock of worker {index + 1} compares with ours")
        elif clocks[index].jumped:
            broken.append(f"the clock of worker {index + 1} ({clocks[index].host}) jumped during the load")
    return clocks


def _detections(path: Path, broken: list[str]) -> Detections | None:
    """None if there is no such file, as in runs of older versions."""
    return Detections.of(_lines(read_detections, path, broken)) if path.exists() else None


def _lines(read: Callable[[Path], Iterable[Line]], path: Path, broken: list[str]) -> tuple[Line, ...]:
    try:
        return tuple(read(path))
    except (ValueError, OSError) as exc:
        broken.append(str(exc))
    return ()
