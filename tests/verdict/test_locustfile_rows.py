"""A run of a user's locustfile, judged: names of its requests, tasks that sent nothing, waits, and what asks whom."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.evidence import Evidence, Pool
from harness.evidence.locustfile_notes import locustfile_notes
from harness.rundir.finding_kind import FindingKind
from harness.rundir.locustfile.notes import LocustfileNote, notes_file
from harness.rundir.locustfile.request_names import RequestNameBook
from harness.rundir.plan import Plan
from harness.rundir.results import Results
from harness.rundir.rows import Outcome
from harness.units import NS_PER_MS
from harness.verdict.attribution import Attribution
from harness.verdict.bad_seconds.late import send_lag_ns
from harness.verdict.judging import judge, write_judged
from reports.report import write_reports
from tests.rundir.recording import Recording, make_plan, record

ALL = ("azure", "gcp", "aws")


def locustfile_plan(*gates: str, workers: int = 1, **load: Any) -> Plan:
    plan = make_plan(gates=gates, workers=workers, duration_ms=60_000)
    unnamed = plan.load.requests[0].model_copy(update={"name": "locustfile", "path": "/"})
    changes = {"locustfile": "/users.py", "requests": (unnamed,), **load}
    return plan.model_copy(update={"load": plan.load.model_copy(update=changes)})


def write(recording: Recording, run_dir: Path, *names: str) -> Path:
    """The run directory, of which the rows have numbers of `names` from 1 on."""
    recording.write(run_dir)
    for worker in range(recording.plan.load.workers):
        book = RequestNameBook(run_dir, worker)
        for name in names:
            book.number(name)
    return run_dir


def alternating(recording: Recording, *numbers: int) -> Recording:
    """Arrivals with these numbers of names in turn."""
    recording.samples["request"] = np.resize(np.array(numbers, np.uint16), len(recording.samples))
    return recording


def gate(results: Results, number: int = 0) -> Any:
    return results.gates[number]


def test_gates_count_the_requests_of_the_name_that_locust_gives(tmp_path: Path) -> None:
    recording = alternating(record(locustfile_plan("errors for look < 1%", "errors for buy < 1%")), 1, 2)
    bought = recording.samples["request"] == 2
    recording.samples["outcome"][bought] = Outcome.HTTP_ERROR
    results = judge(Evidence.load(write(recording, tmp_path, "look", "buy")))
    assert [one.verdict for one in results.gates[:-1]] == ["pass", "fail"]
    arrivals = int((recording.samples["intended_ns"] >= Evidence.load(tmp_path).t0_ns).sum())
    assert abs(gate(results).n - arrivals / 2) <= 1


def test_two_workers_number_the_same_names_differently(tmp_path: Path) -> None:
    recording = record(locustfile_plan("errors for buy < 1%", workers=2))
    recording.samples["request"] = 1
    recording.write(tmp_path)
    RequestNameBook(tmp_path, 0).number("look")
    RequestNameBook(tmp_path, 1).number("buy")
    run = Evidence.load(tmp_path)
    assert run.locustfile_names == ("look", "buy")
    assert set(run.samples["request"][run.samples["seq"] % 2 == 0]) == {1}
    assert set(run.samples["request"][run.samples["seq"] % 2 == 1]) == {2}
    assert gate(judge(run)).verdict == "pass"


def test_a_name_that_never_came_is_inconclusive_and_lists_those_that_did(tmp_path: Path) -> None:
    recording = alternating(record(locustfile_plan("p99 for nonexisting < 1s", "errors < 1%")), 1, 2)
    results = judge(Evidence.load(write(recording, tmp_path, "look", "/buy")))
    assert gate(results).verdict == "inconclusive"
    assert gate(results).kind is FindingKind.NAME_NEVER_CAME
    assert gate(results).reason.endswith("no request called `nonexisting`; it sent `look`, `/buy`")
    assert results.next.startswith("Write the name as Locust reports it")


def test_a_name_that_only_on_start_sends_is_inconclusive_and_says_so(tmp_path: Path) -> None:
    recording = alternating(record(locustfile_plan("errors for login < 1%")), 1)
    write(recording, tmp_path, "look")
    note = LocustfileNote(kind="in_on_start", text="login", where="users.py:9")
    notes_file(tmp_path, 0).write_text(f"{note.model_dump_json()}\n")
    results = judge(Evidence.load(tmp_path))
    assert gate(results).kind is FindingKind.NAME_IN_ON_START
    assert gate(results).reason == (
        "the locustfile sends `login` in on_start at users.py:9, whose requests no gate counts"
    )
    assert results.next.startswith("Write that request as a task")
    assert results.locustfile == (), "it explains a gate and is no news by itself"


def test_a_name_that_tasks_send_too_is_judged(tmp_path: Path) -> None:
    recording = alternating(record(locustfile_plan("errors for login < 1%")), 1)
    write(recording, tmp_path, "login")
    notes_file(tmp_path, 0).write_text(LocustfileNote(kind="in_on_start", text="login").model_dump_json() + "\n")
    assert gate(judge(Evidence.load(tmp_path))).verdict == "pass"


def test_a_name_in_asks_that_never_came_is_noted(tmp_path: Path) -> None:
    plan = locustfile_plan("errors < 1%", locustfile_asks={"offers": ALL, "nope": ("gcp",)})
    write(alternating(record(plan), 1), tmp_path, "offers")
    (note,) = judge(Evidence.load(tmp_path)).locustfile
    assert note.sentence().startswith("`load.asks` names `nope`, which is the name of no request that came; fix: ")


def test_a_name_in_asks_that_came_in_one_run_of_a_pool_is_not_noted(tmp_path: Path) -> None:
    plan = locustfile_plan("errors < 1%", locustfile_asks={"offers": ALL, "rare": ("gcp",)})
    runs = []
    for number, names in enumerate((("offers",), ("offers", "rare"))):
        (tmp_path / str(number)).mkdir()
        runs.append(Evidence.load(write(alternating(record(plan), 1), tmp_path / str(number), *names)))
    assert [note.kind for note in locustfile_notes(runs)] == []


def test_an_arrival_that_was_dropped_may_have_been_any_request(tmp_path: Path) -> None:
    recording = alternating(record(locustfile_plan("errors for look < 1%")), 1)
    dropped = recording.samples["seq"] % 10 == 0
    recording.samples["request"][dropped] = 0
    recording.samples["outcome"][dropped] = Outcome.DROPPED
    assert gate(judge(Evidence.load(write(recording, tmp_path, "look")))).verdict == "fail"


def test_a_task_that_sent_nothing_is_shown_and_in_no_gate(tmp_path: Path) -> None:
    recording = alternating(record(locustfile_plan("errors < 1%", "p99 < 1s", "complete > 99%")), 1)
    silent = recording.samples["seq"] % 2 == 0
    recording.samples["outcome"][silent] = Outcome.NO_REQUEST
    recording.samples["request"][silent] = 0
    recording.samples["answered"][silent] = 0
    results = judge(Evidence.load(write(recording, tmp_path, "look")))
    assert [one.verdict for one in results.gates[:-1]] == ["pass"] * 3
    whole = next(phase for phase in results.phases if phase.name == "whole")
    assert abs(whole.no_request - whole.n) <= 1
    assert whole.outcomes == {"ok": whole.n}
    (note,) = results.locustfile
    assert (note.kind, note.of) == ("no_request", whole.n + whole.no_request)
    assert "arrivals sent no request" in results.notes[-1]


def test_a_few_tasks_that_sent_nothing_are_not_worth_a_note(tmp_path: Path) -> None:
    recording = alternating(record(locustfile_plan("errors < 1%")), 1)
    recording.samples["outcome"][recording.samples["seq"] % 200 == 0] = Outcome.NO_REQUEST
    assert judge(Evidence.load(write(recording, tmp_path, "look"))).locustfile == ()


def test_complete_counts_the_requests_that_ask_upstreams(tmp_path: Path) -> None:
    """A login and a page without offers beside a request for them: 33 % of all answers hold them."""
    asks = {"offers": ALL, "gcp only": ("gcp",)}
    plan = locustfile_plan("complete > 99%", "complete for offers > 99%", locustfile_asks=asks)
    recording = alternating(record(plan), 1, 2, 3, 4)
    for number, bits in ((1, 0), (2, 0), (3, 0b111), (4, 0b010)):
        recording.samples["answered"][recording.samples["request"] == number] = bits
    results = judge(Evidence.load(write(recording, tmp_path, "login", "page", "offers", "gcp only")))
    assert [one.verdict for one in results.gates[:-1]] == ["pass", "pass"]
    assert next(phase for phase in results.phases if phase.name == "whole").complete_share == 1.0


def test_without_asks_every_request_asks_every_upstream(tmp_path: Path) -> None:
    recording = alternating(record(locustfile_plan("complete > 99%")), 1, 2)
    recording.samples["answered"][recording.samples["request"] == 1] = 0
    assert gate(judge(Evidence.load(write(recording, tmp_path, "login", "offers")))).verdict == "fail"


def test_a_wait_for_a_user_is_latency_and_no_lag(tmp_path: Path) -> None:
    plan = locustfile_plan("p99 < 1s", max_users=3)
    recording = alternating(record(plan), 1)
    recording.samples["sent_ns"] += 1_500 * 1_000_000
    recording.samples["done_ns"] += 1_500 * 1_000_000
    recording.samples["waited_us"] = 1_500_000
    run = Evidence.load(write(recording, tmp_path, "look"))
    assert int(send_lag_ns(run).max()) < 1_000_000
    results = judge(run)
    assert results.verdict == "fail", "and no failure of the rig"
    (note,) = results.locustfile
    assert note.kind == "waited"
    assert "waited before their first request, for one of 3 users" in note.said()


def test_notes_of_the_workers_are_added_up(tmp_path: Path) -> None:
    recording = alternating(record(locustfile_plan("errors < 1%", workers=2)), 1)
    write(recording, tmp_path, "look")
    for worker in range(2):
        notes = (
            LocustfileNote(kind="ignored", text="wait_time is ignored"),
            LocustfileNote(kind="stopped", text="runner.quit()", where="users.py:7", n=2),
        )
        notes_file(tmp_path, worker).write_text("".join(f"{note.model_dump_json()}\n" for note in notes))
    results = judge(Evidence.load(tmp_path))
    assert [(note.kind, note.n) for note in results.locustfile] == [("ignored", 1), ("stopped", 4)]
    assert results.verdict == "pass"
    assert results.notes[0] == "the locustfile's wait_time is ignored"


def test_a_row_whose_name_is_not_recorded_is_damage(tmp_path: Path) -> None:
    recording = alternating(record(locustfile_plan("errors < 1%")), 1, 2)
    assert judge(Evidence.load(write(recording, tmp_path, "look"))).verdict == "rig_failure"


def test_each_phase_has_the_figures_of_each_name(tmp_path: Path) -> None:
    recording = alternating(record(locustfile_plan("errors < 1%")), 1, 1, 2)
    recording.samples["outcome"][recording.samples["request"] == 2] = Outcome.HTTP_ERROR
    recording.samples["request"][:7] = 0
    results = judge(Evidence.load(write(recording, tmp_path, "look", "buy")))
    whole = next(phase for phase in results.phases if phase.name == "whole")
    assert [(request.name, *request.outcomes) for request in whole.requests] == [("look", "ok"), ("buy", "http_error")]
    assert sum(request.n for request in whole.requests) == whole.n
    assert whole.requests[0].latency_ms.p99 is not None
    assert whole.requests[1].latency_ms.p50 is None


def test_the_reports_show_names_and_tasks_that_sent_nothing(tmp_path: Path) -> None:
    recording = alternating(record(locustfile_plan("errors < 1%")), 1, 2)
    silent = recording.samples["seq"] % 5 == 0
    recording.samples["outcome"][silent], recording.samples["request"][silent] = Outcome.NO_REQUEST, 0
    run_dir = write(recording, tmp_path, "look <b>", "=buy")
    write_judged(Pool.of(Evidence.load(run_dir)), run_dir)
    write_reports(run_dir, evidence=Evidence.load(run_dir))
    rows = list(csv.DictReader((run_dir / "requests.csv").read_text().splitlines()))
    assert {row["request"] for row in rows} == {"look <b>", "'=buy"}
    assert "sent no request" in (run_dir / "report.html").read_text()
    assert "look &lt;b&gt;" in (run_dir / "report.html").read_text()
    (whole,) = (
        row for row in csv.DictReader((run_dir / "phases.csv").read_text().splitlines()) if row["phase"] == "whole"
    )
    assert int(whole["no_request"]) > 0
    for name in ("summary.md", "junit.xml"):
        assert "arrivals sent no request" in (run_dir / name).read_text()


def test_calls_belong_to_the_request_of_the_task_that_was_sent_before_them(tmp_path: Path) -> None:
    """A task loads a page, which asks nobody, and then offers: the calls come after the second request."""
    recording = record(locustfile_plan("calls to azure for page < 0.01", "calls to azure for offers < 0.5"))
    offers = recording.samples.copy()
    pages = recording.samples
    pages["sent_ns"], pages["done_ns"] = pages["intended_ns"] + 100_000, pages["intended_ns"] + 200_000
    pages["request"], pages["answered"] = 1, 0
    offers["request"], offers["part"] = 2, 1
    offers["intended_ns"] = pages["done_ns"]
    offers["sent_ns"] = pages["done_ns"] + 1_000
    recording.samples = np.concatenate([pages, offers])
    run = Evidence.load(write(recording, tmp_path, "page", "offers"))
    assert set(run.samples["part"][run.call_requests]) == {1}
    assert (run.samples["seq"][run.call_requests] == run.calls["seq"]).all()
    assert set(run.samples["part"][run.call_arrivals]) == {0}
    results = judge(run)
    assert [one.verdict for one in results.gates[:2]] == ["pass", "fail"]
    assert results.gates[1].observed == 1.0
    upstream = run.plan.upstream("azure").index
    assert int(np.count_nonzero(run.calls["upstream"] == upstream)) > 1000


def test_without_later_requests_a_call_belongs_to_its_arrival(tmp_path: Path) -> None:
    run = Evidence.load(write(alternating(record(locustfile_plan("errors < 1%")), 1), tmp_path, "look"))
    assert run.call_requests is run.call_arrivals


def test_a_slow_request_is_explained_by_its_own_calls(tmp_path: Path) -> None:
    """A task waits 900 ms for gcp, and then asks azure five times at once, each for 300 ms: gcp made it slow."""
    recording = record(locustfile_plan("p99 < 1s"))
    quotes = recording.samples
    offers = quotes.copy()
    quotes["sent_ns"], quotes["done_ns"] = quotes["intended_ns"], quotes["intended_ns"] + 900 * NS_PER_MS
    offers["intended_ns"] = offers["sent_ns"] = quotes["done_ns"]
    offers["done_ns"], offers["part"] = offers["sent_ns"] + 300 * NS_PER_MS, 1
    quotes["request"], offers["request"] = 1, 2
    calls = recording.calls[recording.calls["upstream"] == 1]
    intended_ns = quotes["intended_ns"][calls["seq"]]
    calls["arrived_ns"], calls["done_ns"] = intended_ns, intended_ns + 900 * NS_PER_MS
    of_azure = np.repeat(calls, 5)
    of_azure["upstream"] = 0
    of_azure["arrived_ns"] = np.repeat(calls["done_ns"], 5)
    of_azure["done_ns"] = of_azure["arrived_ns"] + 300 * NS_PER_MS
    recording.samples, recording.calls = np.concatenate([quotes, offers]), np.concatenate([calls, of_azure])
    run = Evidence.load(write(recording, tmp_path, "quotes", "offers"))
    azure, gcp, _aws = Attribution(Pool.of(run), ["whole"]).of("whole")
    assert (azure.slowest_share, gcp.slowest_share) == (0.0, 1.0)
    assert gcp.wait_caused_ms == pytest.approx(900)
    assert gcp.calls_per_arrival == pytest.approx(1.0, abs=0.01)
    assert azure.calls_per_arrival == pytest.approx(5.0, abs=0.1)
