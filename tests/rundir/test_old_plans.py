"""Plans that older builds wrote, in which an upstream was flat, are read into today's fields and judged as before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from harness import verdict
from harness.evidence import Evidence
from harness.rundir.plan import Plan
from harness.rundir.planned.upstream import PlannedUpstream
from reports.report import write_reports
from tests.rundir.recording import make_plan, record, slow_fault


def flat(upstream: dict[str, Any]) -> dict[str, Any]:
    """As it was written before listener, origin and fake were parts of their own."""
    old = {key: value for key, value in upstream.items() if key not in ("listener", "origin", "fake")}
    for new, prefix in (("listener", "listen"), ("origin", "backend")):
        old |= {f"{prefix}_{key}": value for key, value in upstream[new].items()}
    return {**old, **upstream["fake"]}


def with_old_plan(run_dir: Path) -> Path:
    path = run_dir / "plan.json"
    document = json.loads(path.read_bytes())
    document["upstreams"] = [flat(upstream) for upstream in document["upstreams"]]
    path.write_text(json.dumps(document), encoding="utf-8")
    return run_dir


def test_a_flat_upstream_is_read_into_its_parts() -> None:
    (new, *_) = make_plan().upstreams
    old = flat(new.model_dump())
    assert set(old) >= {"listen_host", "listen_port", "backend_host", "backend_port", "p50_ms", "rows", "provider"}
    assert PlannedUpstream.model_validate(old) == new
    assert PlannedUpstream.model_validate_json(json.dumps(old)) == new
    assert PlannedUpstream.model_validate_json(new.model_dump_json()) == new


def test_hosts_that_were_not_written_are_this_machine() -> None:
    (new, *_) = make_plan().upstreams
    old = {key: value for key, value in flat(new.model_dump()).items() if not key.endswith("_host")}
    assert PlannedUpstream.model_validate(old) == new


def test_what_no_build_wrote_is_refused() -> None:
    old = flat(make_plan().upstreams[0].model_dump())
    for wrong in ({**old, "origin_port": 3}, {key: value for key, value in old.items() if key != "backend_port"}):
        with pytest.raises(ValidationError):
            PlannedUpstream.model_validate(wrong)


def test_a_run_with_an_old_plan_is_judged_and_reported_as_with_a_new_one(tmp_path: Path) -> None:
    plan = make_plan(faults=[slow_fault()], gates=["p99 < gateway.timeout during azure-slow", "calls to azure < 2"])
    new = record(plan).write(tmp_path / "new" / plan.run_id)
    old = with_old_plan(record(plan).write(tmp_path / "old" / plan.run_id))
    assert Plan.read(old) == Plan.read(new)
    for run_dir in (new, old):
        results = verdict.judge(Evidence.load(run_dir))
        (run_dir / "results.json").write_text(results.model_dump_json(), encoding="utf-8")
    assert (old / "results.json").read_bytes() == (new / "results.json").read_bytes()
    for one, other in zip(
        write_reports(new, ["md", "csv", "junit"]), write_reports(old, ["md", "csv", "junit"]), strict=True
    ):
        assert one.read_bytes() == other.read_bytes()
