"""Who was in the answers, and what fakes do not have, as summary, Markdown and page tell it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import verdict
from harness.cli.display.summary import run_lines
from harness.rundir.plan import Plan
from harness.rundir.results import IncompleteAnswerResult, PhaseResult, PresenceResult, Results
from harness.rundir.unmatched import Unmatched
from reports import present, unmatched
from reports.quoted import quoted
from reports.report import write_reports
from reports.subject import Subject
from tests.reports.made_up_results import gate, phase, results
from tests.rundir.recording import Recording, make_plan, record, slow_fault

SPEAKS = "a fake of the provider generic speaks GET /offers?cursor="


def here(upstream: str, answers: int = 100, missing: int = 0, faulted: int = 0) -> PresenceResult:
    """`faulted` answers came under its fault, and lacked it."""
    return PresenceResult(
        upstream=upstream,
        answers=answers,
        share=(answers - missing - faulted) / answers if answers else None,
        expected=answers - faulted,
        missing=missing,
    )


def during(name: str, *found: PresenceResult) -> PhaseResult:
    return phase(name, 0, 30_000, 100).model_copy(update={"present": found})


def made(*phases: PhaseResult, **fields: object) -> Results:
    return results(make_plan(faults=[slow_fault()]), gates=()).model_copy(update={"phases": phases, **fields})


def test_the_missing_come_first_then_all_others_then_whom_a_fault_excuses() -> None:
    slow = during(
        "azure-slow", here("azure", faulted=100), here("aws", missing=3), here("oci"), here("gcp", missing=59)
    )
    assert present.describe(made(slow)) == [
        ("during azure-slow", "gcp in 41.0 % of the answers, aws in 97.0 %, the other 100 %, azure under a fault")
    ]


def test_who_was_in_every_answer_is_named_beside_a_fault() -> None:
    two = during("prices-503", here("prices", faulted=100), here("stock"))
    many = during("x", here("prices", faulted=100), *(here(f"p{number}") for number in range(8)))
    gates = [gate("fail", phase=name).model_copy(update={"text": "complete > 99%"}) for name in ("prices-503", "x")]
    assert [text for _, text in present.describe(made(two, many, gates=tuple(gates)))] == [
        "stock in 100 % of the answers, prices under a fault",
        "p0, p1, p2 and 5 more in 100 % of the answers, prices under a fault",
    ]


@pytest.mark.parametrize("name", ["whole", "guard", "tail", "warmup"])
def test_phases_that_others_repeat_are_told_for_their_gate_only(name: str) -> None:
    mixed = made(during(name, here("gcp", missing=1)))
    assert present.describe(mixed) == []
    failed = gate("fail", phase=name).model_copy(update={"text": "complete > 99%"})
    assert len(present.describe(mixed.model_copy(update={"gates": (failed,)}))) == 1


def test_nothing_is_told_where_everybody_was_there_or_no_answer_was() -> None:
    fine = during("baseline", here("azure"), here("gcp"))
    excused = during("azure-slow", here("azure", faulted=100), here("gcp"))
    nobody = during("after azure-slow", here("azure", answers=0), here("gcp", answers=0))
    assert present.describe(made(fine, excused, nobody)) == []
    assert present.table(made(fine)).rows == ()


def test_the_gates_own_phase_is_never_left_out() -> None:
    phases = [during(f"f{number}", here("gcp", missing=number + 1)) for number in range(9)]
    failed = gate("fail", phase="f8").model_copy(update={"text": "complete > 99%"})
    told = present.describe(made(*phases, gates=(failed,)))
    assert [when for when, _ in told] == ["during f8", "during f0", "during f1", "during f2", "in 5 more phases"]


def test_phases_with_the_same_figures_are_told_together() -> None:
    phases = [during(f"f{number}", here("azure", faulted=9), here("gcp", missing=1)) for number in range(9)]
    told = present.describe(made(*phases[:2], during("baseline", here("gcp", missing=7))))
    assert [when for when, _ in told] == ["during f0 and during f1", "during baseline"]
    [(when, _)] = present.describe(made(*phases))
    assert when == "during f0, during f1, during f2, during f3 and in 5 more phases"


def test_a_rig_failure_tells_no_phase_in_which_nobody_was_missing() -> None:
    """The gate's verdict does not count there."""
    undecided = gate("inconclusive", phase="f0").model_copy(update={"text": "complete > 99%"})
    results = made(during("f0", here("gcp")), during("f1", here("gcp", missing=1)), gates=(undecided,))
    assert [when for when, _ in present.describe(results)] == ["during f0", "during f1"]
    broken = results.model_copy(update={"verdict": "rig_failure"})
    assert [when for when, _ in present.describe(broken)] == ["during f1"]


def test_sixty_four_upstreams_are_a_few_words_and_a_few_rows() -> None:
    lost = [here(f"u{number}", missing=number + 1) for number in range(10)]
    [(_, text)] = present.describe(made(during("azure-slow", *lost, *(here(f"w{n}") for n in range(54)))))
    assert text == "u9 in 90.0 % of the answers, u8 in 91.0 %, u7 in 92.0 %, 7 more below 100 %, 54 others 100 %"
    table = present.table(made(during("azure-slow", *lost, *(here(f"w{n}") for n in range(54)))))
    assert [name for name, _ in table.rows] == [*(f"u{n}" for n in range(9, -1, -1)), "54 others"]


def test_upstreams_with_the_same_share_are_told_together() -> None:
    lost = [here(name, missing=60) for name in ("aws", "gcp", "oci", "lambda")]
    [(_, text)] = present.describe(made(during("baseline", here("azure", missing=70), *lost, here("vultr", missing=2))))
    assert text == "azure in 30.0 % of the answers, aws, gcp, oci and 1 more in 40.0 %, vultr in 98.0 %"


def test_a_table_says_lacking_excused_and_unasked_in_words_too() -> None:
    table = present.table(
        made(
            during("baseline", here("azure"), here("gcp", missing=2)),
            during("azure-slow", here("azure", faulted=100), here("gcp"), here("aws")),
            during("after azure-slow", here("azure", answers=0), here("gcp", answers=0), here("aws", answers=0)),
        )
    )
    assert table.phases == ("baseline", "azure-slow", "after azure-slow")
    texts = {name: [(cell.text, cell.css) for cell in cells] for name, cells in table.rows}
    assert texts == {
        "gcp": [("98.0 % (2 of 100 lack it)", "lost"), ("100 %", ""), ("– (no answer was ok)", "")],
        "azure": [("100 %", ""), ("0 % (under a fault)", "excused"), ("– (no answer was ok)", "")],
        "aws": [("– (not asked)", ""), ("100 %", ""), ("– (no answer was ok)", "")],
    }


def test_kept_answers_are_told_by_whom_they_lack() -> None:
    def answer(seq: int, *missing: str, file: bool = True) -> IncompleteAnswerResult:
        return IncompleteAnswerResult(
            seq=seq, part=0, at_ms=1.0, phase="baseline", request="GET /", status=200, missing=missing,
            file=f"answers/{seq}.txt" if file else None, bytes=2, cut=False,
        )  # fmt: skip

    found = (answer(3, "gcp"), answer(4, "aws", "oci"), answer(6, "gcp"), answer(7, "gcp", file=False))
    assert present.kept(found) == "answers/3.txt, answers/6.txt lack gcp; answers/4.txt lacks aws and oci"
    assert present.kept(()) == ""


def test_what_fakes_do_not_have_is_one_text_an_upstream() -> None:
    def line(upstream: str, asked: str, status: int, calls: int) -> Unmatched:
        method, _, path = asked.partition(" ")
        return Unmatched(upstream=upstream, method=method, path=path, status=status, calls=calls, speaks=SPEAKS)

    assert unmatched.describe([line("azure", "GET /v2/offers", 404, 312)]) == [
        f"azure has no GET /v2/offers: 404 to 312 calls ({SPEAKS})"
    ]
    many = [line("gcp", "POST /offers", 405, 9), line("gcp", "GET /offers", 400, 2), line("gcp", "GET /x", 404, 1)]
    many.append(Unmatched(upstream="gcp", method=None, path=None, status=None, calls=6))
    assert unmatched.describe(many) == [
        "gcp has no POST /offers: 405 to 9 calls, GET /offers, but not with that query or body: 400 to 2 calls, "
        f"and nothing for 7 more calls ({SPEAKS})"
    ]
    crowd = [line(f"u{number}", "GET /x", 404, 1) for number in range(6)]
    assert unmatched.describe(crowd)[-1] == "and so for 2 more fakes"
    assert unmatched.describe(()) == []


# ---------------------------------------------------------------- whole outputs


def lossy(run_dir: Path, body: bytes) -> tuple[Plan, Results]:
    plan = make_plan(faults=[slow_fault()], gates=["complete > 99% during azure-slow"])
    recording: Recording = record(plan, policy="timeout")
    lost = recording.lose("gcp", 2, 35_000, 97_000)
    recording.keep(int(lost[0]), "gcp", body=body, run_dir=run_dir)
    recording.unmatched = [
        Unmatched(upstream="aws", method="GET", path="/v2/offers", status=404, calls=312, speaks=SPEAKS)
    ]
    return plan, verdict.write(recording.write(run_dir))


def test_the_summary_tells_it_once(tmp_path: Path) -> None:
    _, found = lossy(tmp_path, b"{}")
    lines = run_lines(found, tmp_path)
    assert "complete during azure-slow: gcp in 50.0 % of the answers, the other 100 %, azure under a fault" in lines
    assert f"answers the first incomplete ones: {found.incomplete_answers[0].file} lacks gcp" in lines
    assert sum("/v2/offers" in line for line in lines) == 1
    assert any(line.startswith("unmatched: aws has no GET /v2/offers: 404 to 312 calls (a fake") for line in lines)


def test_markdown_and_page_have_table_answers_and_calls(tmp_path: Path) -> None:
    _, found = lossy(tmp_path, b'{"note": "</pre><script>alert(1)</script>", "x": "token=verysecret1"}')
    write_reports(tmp_path, ("md", "html", "junit"))
    markdown = (tmp_path / "summary.md").read_text()
    assert "| gcp | 100 % | 50.0 % (" in markdown
    assert "| azure | 100 % | 0 % (under a fault) | 100 % |" in markdown
    file = found.incomplete_answers[0].file
    assert f"The first incomplete answers: {file} lacks gcp" in markdown
    assert "- aws has no GET /v2/offers: 404 to 312 calls (" in markdown
    page = (tmp_path / "report.html").read_text()
    assert "Who was in the answers" in page
    assert f"<code>{file}</code> lacks <b>gcp</b>" in page
    assert "&lt;/pre&gt;&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "verysecret1" not in page
    assert "<code>GET /v2/offers</code>" in page
    assert "gcp was in 50.0 % of the answers" in (tmp_path / "junit.xml").read_text()


def test_a_run_that_lost_nobody_has_neither(tmp_path: Path) -> None:
    made_up = record(make_plan(gates=["complete > 99%"]))
    verdict.write(made_up.write(tmp_path))
    write_reports(tmp_path, ("md", "html"))
    for name in ("summary.md", "report.html"):
        text = (tmp_path / name).read_text()
        assert "Who was in the answers" not in text
        assert "What the fakes do not have" not in text


@pytest.mark.parametrize("file", ["../secret.txt", "answers/../../secret.txt", "/etc/hostname", "answers/1.txt"])
def test_a_page_quotes_nothing_but_kept_answers(tmp_path: Path, file: str) -> None:
    """Results may come from others: no path leads out, and a link is not followed."""
    run_dir = tmp_path / "run"
    lossy(run_dir, b"kept")
    (tmp_path / "secret.txt").write_text("secret")
    (run_dir / "answers" / "1.txt").symlink_to(tmp_path / "secret.txt")
    subject = Subject.load(run_dir)
    [own] = quoted(subject)
    assert own.beginning == "kept"
    wrong = subject.results.incomplete_answers[0].model_copy(update={"file": file})
    moved = subject.results.model_copy(update={"incomplete_answers": (wrong,)})
    (run_dir / "results.json").write_text(moved.model_dump_json())
    [other] = quoted(Subject.load(run_dir))
    assert other.beginning == ""


def test_a_long_answer_is_quoted_by_its_beginning(tmp_path: Path) -> None:
    lossy(tmp_path, b"line\n" * 10_000)
    [answer] = quoted(Subject.load(tmp_path))
    assert answer.beginning.startswith("line\nline\n")
    assert len(answer.beginning) < 1_000
