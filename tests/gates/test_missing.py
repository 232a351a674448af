"""Who is missing from the answers, what fakes were asked for in vain, and which kept answers count."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from harness import verdict
from harness.evidence import Evidence, Window
from harness.evidence.completeness import asked
from harness.rundir.planned.load import PlannedRequest
from harness.rundir.results import GateResult, PhaseResult, PresenceResult, Results
from harness.rundir.rows import Outcome
from harness.rundir.unmatched import Unmatched
from tests.rundir.recording import Recording, make_plan, record, slow_fault

DURING = "complete > 99% during azure-slow"
EIGHT = ("azure", "gcp", "aws", "oci", "lambda", "vultr", "nebius", "vastai")


def judged(made: Recording, folder: Path) -> Results:
    return verdict.write(made.write(folder))


def under_fault(*gates: str, upstreams: tuple[str, ...] = EIGHT) -> Recording:
    """azure is slow from 35 to 97 s, and a service with a deadline leaves it out."""
    return record(make_plan(upstreams=upstreams, faults=[slow_fault()], gates=gates or (DURING,)), policy="timeout")


def phase(results: Results, name: str) -> PhaseResult:
    return next(phase for phase in results.phases if phase.name == name)


def present(results: Results, phase_name: str, upstream: str) -> PresenceResult:
    return next(each for each in phase(results, phase_name).present if each.upstream == upstream)


def gate(results: Results) -> GateResult:
    return results.gates[0]


def test_the_gate_names_who_is_missing_worst_first(tmp_path: Path) -> None:
    made = under_fault()
    made.lose("gcp", 2, 35_000, 97_000)
    made.lose("aws", 40, 35_000, 97_000)
    results = judged(made, tmp_path)
    assert results.verdict == "fail"
    said = gate(results).reason
    assert "were not complete (gcp was in 50.0 % of the answers that should have held it, aws in 97.5 %); it" in said
    assert "azure" not in said, "the fault excuses it"
    assert said in results.reason


def test_of_many_that_are_missing_three_are_named(tmp_path: Path) -> None:
    made = under_fault()
    for every, name in enumerate(EIGHT[1:], 2):
        made.lose(name, every, 35_000, 97_000)
    said = gate(judged(made, tmp_path)).reason
    assert "(gcp was in 50.0 % of the answers that should have held it, aws in 66.7 %, oci in " in said
    assert ", and 4 more were missing); it must" in said


def test_those_missing_in_the_same_share_are_told_together(tmp_path: Path) -> None:
    made = under_fault()
    for name in EIGHT[2:]:
        made.lose(name, 4, 35_000, 97_000)
    made.lose("gcp", 2, 35_000, 97_000)
    said = gate(judged(made, tmp_path / "some")).reason
    assert "(gcp was in 50.0 % of the answers that should have held it, aws, oci, lambda and 3 more in 75.0 %);" in said
    for name in EIGHT[1:]:
        made.lose(name, 1, 35_000, 97_000)
    said = gate(judged(made, tmp_path / "all")).reason
    assert "(gcp, aws, oci and 4 more were each in 0 % of the answers that should have held it);" in said


def test_errors_are_told_apart_from_who_is_missing(tmp_path: Path) -> None:
    made = under_fault()
    lost = made.lose("gcp", 4, 35_000, 97_000)
    errors = lost[: len(lost) // 2]
    made.samples["outcome"][errors] = Outcome.HTTP_ERROR
    made.samples["status"][errors] = 500
    made.samples["answered"][errors] = 0
    said = gate(judged(made, tmp_path / "some")).reason
    assert "(gcp was in 86." in said
    assert f"of the answers that should have held it; {len(errors)} were not ok, and an error holds no rows)" in said

    only_errors = record(make_plan(faults=[slow_fault()], gates=[DURING]), policy="parallel")
    assert "(none of them was ok, and an error holds no rows)" in gate(judged(only_errors, tmp_path / "none")).reason


def test_mistakes_about_who_is_missing_are_noticed(tmp_path: Path) -> None:
    """Each made once: the reason is another then."""
    made = under_fault()
    lost = made.lose("gcp", 4, 35_000, 97_000)
    errors = lost[: len(lost) // 2]
    made.samples["outcome"][errors], made.samples["answered"][errors] = Outcome.HTTP_ERROR, 0
    right = gate(judged(made, tmp_path)).reason
    assert "(gcp was in 86.1 % of the answers that should have held it; 312 were" in right

    def every_request(self: Window) -> np.typing.NDArray[np.bool_]:
        return np.ones(len(self.samples), np.bool_)

    for mistake, target, wrong, said in (
        ("the faulted one is not excused", "harness.evidence.presence.expected", asked, "(azure was in 0 % of"),
        (
            "an error's answer is an answer",
            "harness.evidence.run.Window.ok",
            property(every_request),
            "(gcp was in 75.0",
        ),
        ("the best first", "harness.evidence.presence.Presence.expected_share", property(lambda p: -p.missing), "in -"),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(target, wrong)
            assert said in gate(verdict.judge(Evidence.load(tmp_path))).reason, mistake


def test_an_undecided_gate_names_them_and_a_passed_one_says_nothing(tmp_path: Path) -> None:
    made = under_fault()
    made.lose("gcp", 120, 35_000, 97_000)
    undecided = gate(judged(made, tmp_path / "undecided"))
    assert undecided.verdict == "inconclusive"
    assert "(gcp was in 99.2 % of the answers that should have held it)" in undecided.reason
    passed = under_fault()
    passed.lose("gcp", 1_000, 35_000, 97_000)
    good = gate(judged(passed, tmp_path / "pass"))
    assert good.verdict == "pass"
    assert "gcp" not in good.reason


def test_of_a_stopped_load_only_what_was_known_is_counted(tmp_path: Path) -> None:
    made = under_fault()
    made.lose("gcp", 1, 35_000, 64_000)
    made.lose("aws", 1, 66_000, 97_000)
    results = judged(made.stopped(67_000, "fail_fast"), tmp_path)
    said = gate(results).reason
    assert "gcp was in " in said
    assert results.verdict == "fail"


def test_each_phase_has_the_share_of_each_upstream(tmp_path: Path) -> None:
    made = under_fault()
    made.lose("gcp", 2, 35_000, 97_000)
    results = judged(made, tmp_path)
    slow = phase(results, "azure-slow")
    assert [each.upstream for each in slow.present] == list(EIGHT)
    azure, gcp, aws = slow.present[:3]
    assert (azure.share, azure.expected, azure.missing) == (0.0, 0, 0)
    assert azure.answers == gcp.answers == slow.n
    assert gcp.share == pytest.approx(0.5, abs=0.01)
    assert gcp.missing == round((1 - (gcp.share or 0)) * gcp.expected)
    assert (aws.share, aws.missing) == (1.0, 0)
    assert [each.share for each in phase(results, "baseline").present] == [1.0] * 8


def test_only_answers_that_are_ok_and_requests_that_ask_are_counted(tmp_path: Path) -> None:
    requests = [
        PlannedRequest(name="all", method="GET", path="/", asks=("azure", "gcp")),
        PlannedRequest(name="by-gcp", method="GET", path="/?b=gcp", asks=("gcp",)),
    ]
    made = record(make_plan(upstreams=("azure", "gcp", "aws"), requests=requests, gates=["complete > 99%"]))
    errors = made.samples["seq"] % 5 == 0
    made.samples["outcome"][errors], made.samples["answered"][errors] = Outcome.HTTP_ERROR, 0
    results = judged(made, tmp_path)
    whole = phase(results, "whole")
    assert [each.upstream for each in whole.present] == ["azure", "gcp"], "nobody asks aws"
    azure, gcp = whole.present
    assert (azure.share, gcp.share) == (1.0, 1.0)
    assert gcp.answers == whole.outcomes["ok"]
    assert 0 < azure.answers < gcp.answers


def test_a_phase_without_an_answer_knows_no_share(tmp_path: Path) -> None:
    made = record(make_plan(faults=[slow_fault()], gates=[DURING]), policy="parallel")
    results = judged(made, tmp_path)
    assert {each.share for each in phase(results, "azure-slow").present} == {None}


def test_answers_that_were_not_looked_into_hold_no_shares(tmp_path: Path) -> None:
    made = under_fault("p99 < 1.5s during azure-slow")
    load = made.plan.load.model_copy(update={"complete": "none"})
    made.plan = made.plan.model_copy(update={"load": load})
    made.samples["answered"] = 0
    results = judged(made, tmp_path)
    assert {each.present for each in results.phases} == {()}
    assert results.incomplete_answers == ()


def test_pooled_runs_add_up(tmp_path: Path) -> None:
    runs = []
    for number in (1, 2):
        made = record(make_plan(gates=["complete > 99%"], run_id=f"20250102-030405-000{number}"), seed=number)
        lost = made.lose("gcp", 2 * number)
        made.keep(int(lost[-1]), "gcp")
        made.unmatched = [Unmatched(upstream="gcp", method="GET", path="/x", status=404, calls=number)]
        runs.append(made.write(tmp_path / f"run-{number}"))
    results = verdict.write_pool(runs, tmp_path)
    assert present(results, "whole", "gcp").share == pytest.approx(0.625, abs=0.01)
    assert [line.calls for line in results.unmatched] == [3]
    folders = [str(answer.file).partition("/answers/")[0] for answer in results.incomplete_answers]
    assert folders == ["run-1", "run-2"]


# ---------------------------------------------------------------- kept answers


def test_a_kept_answer_counts_by_its_row_and_the_journal(tmp_path: Path) -> None:
    made = under_fault()
    lost = made.lose("gcp", 2, 40_000, 97_000)
    in_baseline = made.lose("aws", 100, 10_000, 20_000)
    excused = int(np.flatnonzero(made.samples["intended_ns"] > made.samples["intended_ns"][lost[10]])[0])
    error = int(lost[20])
    made.samples["outcome"][error] = Outcome.BAD_ANSWER
    for index in (int(lost[0]), excused, error):
        made.keep(index, "gcp")
    made.keep(int(in_baseline[0]), "aws", "gcp")
    made.keep(0, "gcp")  # of the warm-up
    first, second = judged(made, tmp_path).incomplete_answers
    assert (first.phase, first.missing, first.seq) == ("baseline", ("aws",), int(made.samples["seq"][in_baseline[0]]))
    assert (second.phase, second.missing) == ("azure-slow", ("gcp",))
    assert (second.request, second.status, second.file) == ("GET /v1/offers", 200, f"answers/{second.seq}.txt")


def test_judging_again_gives_the_same_bytes_with_and_without_the_files(tmp_path: Path) -> None:
    made = under_fault()
    lost = made.lose("gcp", 2, 40_000, 97_000)
    made.keep(int(lost[0]), "gcp", run_dir=tmp_path)
    judged(made, tmp_path)
    before = (tmp_path / "results.json").read_bytes()
    assert json.loads(before)["incomplete_answers"]
    shutil.rmtree(tmp_path / "answers")
    verdict.write(tmp_path)
    assert (tmp_path / "results.json").read_bytes() == before


def test_a_run_without_the_new_files_is_judged_as_ever(tmp_path: Path) -> None:
    results = judged(under_fault(), tmp_path)
    assert (results.verdict, results.incomplete_answers, results.unmatched) == ("pass", (), ())


# ---------------------------------------------------------------- what the fakes do not have


def test_unmatched_calls_are_in_order_and_say_what_there_is(tmp_path: Path) -> None:
    made = record(make_plan())
    speaks = "a fake of the provider generic speaks GET /offers?cursor="
    made.unmatched = [
        Unmatched(upstream="gcp", method="GET", path="/a", status=404, calls=1, speaks=speaks),
        Unmatched(upstream="azure", method=None, path=None, status=None, calls=900),
        Unmatched(upstream="azure", method="GET", path="/b", status=404, calls=2, speaks=speaks),
        Unmatched(upstream="azure", method="POST", path="/b", status=405, calls=7, speaks=speaks),
        Unmatched(upstream="nobody", method="GET", path="/", status=404, calls=1),
    ]
    found = judged(made, tmp_path).unmatched
    assert [(line.upstream, line.method, line.calls) for line in found] == [
        ("azure", "POST", 7),
        ("azure", "GET", 2),
        ("azure", None, 900),
        ("gcp", "GET", 1),
    ]
    (tmp_path / "unmatched.ndjson").write_text("[" * 100_000 + "\n\x00\n{}\n" + made.unmatched[0].model_dump_json())
    assert [line.path for line in Evidence.load(tmp_path).unmatched] == ["/a"]


def test_a_service_that_asks_in_vain_is_told_what_it_asked_for(tmp_path: Path) -> None:
    made = under_fault(upstreams=("azure", "gcp", "aws"))
    made.calls["status"][made.calls["upstream"] == 0] = 404
    unnamed = judged(made, tmp_path / "old")
    assert unnamed.verdict == "rig_failure"
    assert "that a fake of the provider `generic` does not have" in unnamed.reason
    made.unmatched = [
        Unmatched(upstream="azure", method="GET", path=f"/v{n}/offers", status=404, calls=300 + n) for n in range(5)
    ]
    named = judged(made, tmp_path / "new").reason
    assert named.startswith(unnamed.reason)
    assert named.endswith(" (GET /v4/offers: 404 to 304 calls, GET /v3/offers: 404 to 303 calls, "
                          "GET /v2/offers: 404 to 302 calls, 2 more)")  # fmt: skip
