"""`tailgate compare` refuses runs that are unlike, and decides nothing where the machine was not the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import verdict
from harness.cli.group import main
from harness.evidence import Evidence
from harness.gates.reference.machine import machine_difference
from harness.rundir.plan import Plan
from harness.rundir.planned.fault import FaultWindow
from harness.rundir.planned.load import PlannedRequest, Schedule, Stage
from harness.rundir.planned.upstream import Endpoint
from harness.rundir.yardstick import Yardstick, read_yardstick
from harness.verdict.comparison import compare as judge_pair
from harness.verdict.likeness import plan_differences
from tests.gates.test_resource_gate import reading
from tests.rundir.recording import Recording, make_plan, record, slow_fault

Change = Callable[[Plan], Plan]


def run_dir(folder: Path, plan: Plan, change: Callable[[Recording], None] = lambda _: None) -> Path:
    made = record(plan, policy="timeout", seed=1)
    change(made)
    return made.write(folder)


def a_plan() -> Plan:
    return make_plan(faults=[slow_fault()], gates=["p99 < 1s"])


def compare(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["compare", *map(str, words)])
    out, err = capsys.readouterr()
    return int(str(ended.value.code)), out, err


def of_load(**changes: object) -> Change:
    return lambda plan: plan.model_copy(update={"load": plan.load.model_copy(update=changes)})


def of_upstream(**changes: object) -> Change:
    def change(plan: Plan) -> Plan:
        first, *others = plan.upstreams
        return plan.model_copy(update={"upstreams": (first.model_copy(update=changes), *others)})

    return change


def of_fake(**changes: object) -> Change:
    def change(plan: Plan) -> Plan:
        fake = plan.upstreams[0].fake
        assert fake is not None
        return of_upstream(fake=fake.model_copy(update=changes))(plan)

    return change


def of_fault(**changes: object) -> Change:
    return lambda plan: plan.model_copy(update={"faults": (plan.faults[0].model_copy(update=changes),)})


def faster(plan: Plan) -> Plan:
    stage = Stage(start_per_s=50, end_per_s=50, duration_ms=112_000)
    return of_load(schedule=Schedule(start_ms=-2_000, stages=(stage,)))(plan)


def other_request(plan: Plan) -> Plan:
    return of_load(requests=(PlannedRequest(name="GET /v1/offers", method="GET", path="/other", asks=("azure",)),))(
        plan
    )


UNLIKE: list[tuple[str, Change, str]] = [
    ("scenario", lambda p: p.model_copy(update={"name": "another"}), "name (made-up and another)"),
    ("seed", lambda p: p.model_copy(update={"seed": 8}), "seed (7 and 8)"),
    ("rate", faster, "load.schedule.stages[0].start_per_s (40 and 50)"),
    ("model", of_load(model="closed", schedule=None, users=4), "load.model (open and closed)"),
    ("workers", of_load(workers=2), "load.workers (1 and 2)"),
    ("warm-up", of_load(warmup_ms=4_000.0), "load.warmup_ms (2000 and 4000)"),
    ("locustfile", of_load(locustfile="/b/users.py"), "load.locustfile (none and users.py)"),
    ("request", other_request, "load.requests.GET /v1/offers.path, load.requests.GET /v1/offers.asks"),
    ("upstream", of_fake(p50_ms=90.0), "upstreams.azure.p50_ms (60 and 90)"),
    ("rows", of_fake(rows=41), "upstreams.azure.rows (40 and 41)"),
    ("no upstream", lambda p: p.model_copy(update={"upstreams": p.upstreams[:2]}), "upstreams.aws (fake and none)"),
    ("fault's time", of_fault(windows=(FaultWindow(apply_ms=30_000, remove_ms=95_000),)), "windows[0].remove_ms ("),
    ("no fault", lambda p: p.model_copy(update={"faults": ()}), "faults.azure-slow (latency"),
    (
        "gateway",
        lambda p: p.model_copy(update={"gateway": p.gateway.model_copy(update={"timeout_ms": 3_000.0})}),
        "gateway.timeout_ms (2000 and 3000)",
    ),
    (
        "clump",
        lambda p: p.model_copy(update={"verdict": p.verdict.model_copy(update={"clump_ms": 50.0})}),
        "verdict.clump_ms (100 and 50)",
    ),
]


@pytest.mark.parametrize(("change", "named"), [case[1:] for case in UNLIKE], ids=[case[0] for case in UNLIKE])
def test_what_differs_is_named(*, change: Change, named: str) -> None:
    listed = ", ".join(difference.text for difference in plan_differences(a_plan(), change(a_plan())))
    assert named in listed


def test_the_service_its_place_and_the_run_itself_may_differ() -> None:
    def change(plan: Plan) -> Plan:
        plan = of_load(data="/a/users.csv")(plan)
        plan = of_upstream(listener=Endpoint(port=1), origin=Endpoint(port=2), known_as=("AZ",))(plan)
        service = plan.service.model_copy(update={"argv": ("other",), "cwd": "/b", "env": {"A": "1"}, "port": 3})
        return plan.model_copy(
            update={
                "service": service,
                "run_id": "20250102-030405-ffff",
                "cell": "parallel",
                "scenario_sha256": "1" * 64,
            }
        )

    assert plan_differences(of_load(data="/b/users.csv")(a_plan()), change(a_plan())) == ()


def test_header_values_and_bodies_are_not_printed() -> None:
    request = PlannedRequest(name="r", method="POST", path="/a?token=hunter2", asks=("azure",))
    requests = [request.model_copy(update={"headers": {"Cookie": "hunter2"}, "body": "hunter2"}), request]
    plans = [of_load(requests=(one,))(a_plan()) for one in requests]
    found = plan_differences(*plans)
    assert {difference.path for difference in found} == {"load.requests.r.headers.Cookie", "load.requests.r.body"}
    assert "hunter2" not in str(found)


def test_unlike_runs_are_refused_until_they_are_allowed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, head = run_dir(tmp_path / "base", a_plan()), run_dir(tmp_path / "head", of_fake(rows=41)(a_plan()))
    code, out, err = compare(capsys, base, head)
    assert (code, out) == (2, "")
    assert "differ in more than the service: upstreams.azure.rows (40 and 41)" in err
    assert "--allow-unlike" in err
    code, out, _ = compare(capsys, base, head, "--max-ratio", "2", "--allow-unlike")
    assert code in (0, 3)
    assert out.startswith("unlike: upstreams.azure.rows (40 and 41)\n")
    code, out, _ = compare(capsys, base, head, "--allow-unlike", "--json")
    assert json.loads(out)["differences"] == [{"path": "upstreams.azure.rows", "base": "40", "head": "41"}]


def later(made: Recording) -> None:
    made.samples["done_ns"] += 80_000_000


def busy(made: Recording) -> None:
    """The same code while another program was busy: everything later, and the fixed work with it."""
    later(made)
    made.yardstick = Yardstick(before_ms=290.0, after_ms=300.0)


def test_code_is_not_worse_than_itself_on_a_busier_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = run_dir(tmp_path / "base", a_plan())
    assert compare(capsys, base, run_dir(tmp_path / "worse", a_plan(), later))[0] == 1
    code, out, _ = compare(capsys, base, run_dir(tmp_path / "busy", a_plan(), busy))
    assert code == 3
    assert "the same fixed work took 200 ms and 204 ms before and after BASE, and 290 ms and 300 ms" in out
    assert " worse" not in out
    assert out.splitlines()[-1].startswith("INCONCLUSIVE")


@pytest.mark.parametrize(
    ("base", "head", "reason"),
    [
        ((200, 204), (200, 204), ""),
        ((200, 204), (219, 219), ""),
        ((200, 204), (221, 204), "was not as fast"),
        ((221, 204), (200, 204), "was not as fast"),
        ((200, 230), (210, 212), ""),  # one in between is as near to both
        (None, (200, 204), "BASE has no yardstick"),
        ((200, 204), None, "HEAD has no yardstick"),
        ((200, None), (200, 204), "BASE has no yardstick from after"),
    ],
)
def test_yardsticks(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    base: tuple[float, float | None] | None,
    head: tuple[float, float | None] | None,
    reason: str,
) -> None:
    def with_yardstick(figures: tuple[float, float | None] | None) -> Callable[[Recording], None]:
        def change(made: Recording) -> None:
            made.yardstick = Yardstick(before_ms=figures[0], after_ms=figures[1]) if figures else None

        return change

    dirs = [run_dir(tmp_path / str(i), a_plan(), with_yardstick(one)) for i, one in enumerate((base, head))]
    code, out, _ = compare(capsys, *dirs, "--max-ratio", "3", "--json")
    found = json.loads(out)
    assert reason in found["reason"]
    assert bool(reason) == bool(found["reason"])
    assert code == (3 if reason else 0)
    assert {row["verdict"] for row in found["rows"]} <= ({"unknown"} if reason else {"fine", "too_short"})


def test_other_cores_are_another_machine(tmp_path: Path) -> None:
    machine = verdict.write(run_dir(tmp_path / "a", a_plan())).run.machine
    assert machine_difference(machine, machine) == ""
    assert "2 and 4 cores" in machine_difference(machine, machine.model_copy(update={"cores": 4}))


def test_the_yardstick_is_in_the_results_and_judging_repeats_them(tmp_path: Path) -> None:
    folder = run_dir(tmp_path / "run", a_plan())
    first = verdict.write(folder)
    before = (folder / "results.json").read_bytes()
    assert first.run.machine.yardstick == read_yardstick(folder) == Yardstick(before_ms=200, after_ms=204)
    assert first.run.machine.cores == 2
    verdict.write(folder)
    assert (folder / "results.json").read_bytes() == before


def test_a_damaged_yardstick_is_none(tmp_path: Path) -> None:
    folder = run_dir(tmp_path / "run", a_plan())
    (folder / "yardstick.json").write_text('{"before_ms": ')
    assert read_yardstick(folder) is None
    assert verdict.write(folder).run.machine.yardstick is None


# ---------------------------------------------------------------- figures beside the quantiles


def rows_of(folder: Path, changed: Callable[[Recording], None], plan: Plan | None = None) -> dict[tuple[str, str], str]:
    """The verdicts of the rows of the baseline by metric and request; BASE is unchanged."""
    base, head = (
        run_dir(folder / name, plan or a_plan(), change) for name, change in (("base", steady), ("head", changed))
    )
    found = judge_pair(Evidence.load(base), Evidence.load(head), 1.1)
    return {(row.metric, row.request or ""): row.verdict for row in found.rows if row.phase == "baseline"}


def steady(made: Recording) -> None:
    rows = made.samples
    rows["sent_ns"] = rows["intended_ns"]
    rows["first_ns"], rows["done_ns"] = rows["intended_ns"] + 50_000_000, rows["intended_ns"] + 100_000_000


def test_first_bytes_can_be_worse_where_the_last_ones_are_not(tmp_path: Path) -> None:
    def late_first_bytes(made: Recording) -> None:
        steady(made)
        made.samples["first_ns"] += 20_000_000

    rows = rows_of(tmp_path, late_first_bytes)
    assert rows["p99", ""] in ("fine", "too_short") and rows["p50", ""] == "fine"
    assert rows["p99(ttfb)", ""] in ("worse", "too_short")
    assert rows["mean", ""] == "fine"


def test_a_mean_can_be_worse_where_no_quantile_is(tmp_path: Path) -> None:
    """p50 and p90 are the same; one request in fifty takes three seconds."""

    def a_heavy_tail(made: Recording) -> None:
        steady(made)
        made.samples["done_ns"][made.samples["seq"] % 50 == 0] += 2_900_000_000

    rows = rows_of(tmp_path, a_heavy_tail)
    assert (rows["p50", ""], rows["p90", ""], rows["mean", ""]) == ("fine", "fine", "worse")


def test_first_bytes_that_a_run_does_not_know_are_not_compared(tmp_path: Path) -> None:
    def unknown(made: Recording) -> None:
        steady(made)
        made.samples["first_ns"] = 0

    assert ("p99(ttfb)", "") not in rows_of(tmp_path, unknown)


def test_single_requests_are_compared_where_there_are_several(tmp_path: Path) -> None:
    plan = a_plan()
    (one,) = plan.load.requests[:1]
    requests = (one, one.model_copy(update={"name": "orders"}))
    plan = plan.model_copy(update={"load": plan.load.model_copy(update={"requests": requests})})

    def slow_orders(made: Recording) -> None:
        in_turn(made)
        made.samples["done_ns"][made.samples["request"] == 1] += 50_000_000

    def in_turn(made: Recording) -> None:
        steady(made)
        made.samples["request"] = made.samples["seq"] % 2

    base, head = (run_dir(tmp_path / name, plan, change) for name, change in (("b", in_turn), ("h", slow_orders)))
    found = judge_pair(Evidence.load(base), Evidence.load(head), 1.1)
    named = {row.request: row.ratio for row in found.rows if row.phase == "baseline" and row.request}
    assert named == {one.name: 1.0, "orders": 1.5}
    assert {row.request for row in judge_pair(Evidence.load(base), Evidence.load(base), 1.1).rows} == {
        None,
        one.name,
        "orders",
    }


def test_processor_time_is_shown_and_decides_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def using(cpu_s: float) -> Callable[[Recording], None]:
        def change(made: Recording) -> None:
            steady(made)
            made.resources = [reading(t + 0.5, cpu_s=10 + cpu_s * (t + 2)) for t in range(-2, 115)]

        return change

    base, head = (run_dir(tmp_path / str(cpu_s), a_plan(), using(cpu_s)) for cpu_s in (0.2, 0.6))
    code, out, _ = compare(capsys, base, head)
    assert code == 0, out
    line = next(line for line in out.splitlines() if line.startswith("baseline") and " cpu " in line)
    assert line.split()[-1] == "shown" and "× 3.0" in line
    assert "4.90 ms →" in line and "14.7 ms" in line


def test_an_undecided_mean_leaves_the_verdict_alone(tmp_path: Path) -> None:
    def one_long_spell(made: Recording) -> None:
        steady(made)
        made.samples["done_ns"][1_000:1_010] += 1_900_000_000

    base, head = (run_dir(tmp_path / name, a_plan(), change) for name, change in (("b", steady), ("h", one_long_spell)))
    found = judge_pair(Evidence.load(base), Evidence.load(head), 1.1)
    by_metric = {row.metric: row.verdict for row in found.rows if row.phase == "baseline"}
    assert by_metric["mean"] == "unknown"
    assert (found.verdict, found.exit_code) == ("fine", 0), by_metric
