from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from harness.rundir.manifest import HarnessFault, Manifest, ProcessExit, RunEnd
from harness.rundir.plan import Plan
from harness.rundir.planned.service import PlannedService
from harness.rundir.results import canonical_json
from harness.rundir.rows import CALLS
from harness.units import NS_PER_MS
from reports.report import write_reports
from tests.reports.made_up_results import NASTY, gate, results, write_results
from tests.reports.made_up_run import embedded, five_minutes, write_run
from tests.rundir.recording import T0_NS, make_plan, record, slow_fault


class Page(HTMLParser):
    """A page's elements and text; text within script and style is code."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._code = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._code = tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        self._code = ""

    def handle_data(self, data: str) -> None:
        if not self._code:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def _html(run_dir: Path) -> str:
    (path,) = write_reports(run_dir, ["html"])
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> str:
    return _html(write_run(tmp_path_factory.mktemp("big"), five_minutes()))


def test_five_minutes_of_eight_upstreams_stay_under_300_kb(big: str) -> None:
    assert len(big.encode()) < 300_000


def test_the_page_asks_for_nothing_from_outside(big: str) -> None:
    page = Page(big)
    for tag, attributes in page.elements:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, value)
    styles = "".join(re.findall(r"<style>(.*?)</style>", big, re.S))
    assert "@import" not in styles
    assert "url(" not in styles


def test_only_our_scripts_may_run(big: str) -> None:
    policy = next(meta["content"] for meta in Page(big).all("meta") if meta.get("http-equiv"))
    assert policy
    assert policy.startswith("default-src 'none'")
    allowed = set(re.findall(r"'sha256-([^']+)'", policy))
    scripts = re.findall(r"<script>(.*?)</script>", big, re.S)
    digests = {base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts}
    assert digests == allowed
    assert len(scripts) == 3
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]


def test_the_first_screen_answers_what_why_and_what_next(big: str) -> None:
    text = Page(big).text
    for words in (
        "FAIL",
        "2 failed · 1 inconclusive · 3 passed",
        "every request got a 504",
        "azure was last in 98 %",
        "Give the azure call a deadline",
        "tailgate run made-up.yaml --seed 7",
        "Can I trust this run?",
        "azure-slow proven",
        "met by 2,391 calls of the service",
        "send lag p99 0.3 ms",
        "slow spells of 200 ms; 100 ms assumed",
        "measured from the intended start",
        "cut off by the gateway",
    ):
        assert words in text, words


def test_the_lines_rise_when_the_fault_comes_and_not_before(big: str) -> None:
    data = embedded(big, "timeline-data")
    lines = {line["name"]: line for line in data["lines"]}
    assert list(lines)[-3:] == ["azure", "gcp", "end to end"], "the bold line is drawn last, over the others"
    azure = {x: y for x, y in zip(data["x"], lines["azure"]["y"], strict=True) if y is not None}
    during = [y for x, y in azure.items() if 60 <= x < 118]
    assert min(during) > 60_000, "the backend's own time alone never shows the fault"
    assert max(y for x, y in azure.items() if x < 60 and y is not None) < 1_000
    assert max(y for x, y in azure.items() if x >= 120) < 1_000
    end = dict(zip(data["x"], lines["end to end"]["y"], strict=True))
    assert {round(y) for x, y in end.items() if 62 <= x < 116} == {2000}
    assert next(x for x, lost in zip(data["x"], data["failed"], strict=False) if lost) == 60.0
    band = data["bands"][0]
    assert (band["label"], band["from"], band["tail"], band["to"]) == ("azure: latency 60s", 60.0, 118.0, 120.0)
    assert 58.0 <= band["caught"] < 60.0, "arrivals of the guard that were still open when it came"


def test_arrivals_caught_by_the_fault_have_a_bin_of_their_own(tmp_path: Path) -> None:
    plan = make_plan(faults=[slow_fault()], rate_per_s=40.0)
    recording = record(plan)
    t_ms = (recording.samples["intended_ns"] - T0_NS) / NS_PER_MS
    caught = np.flatnonzero((t_ms > 34_900) & (t_ms < 35_000))
    assert len(caught)
    recording.samples["done_ns"][caught] = T0_NS + 37_000 * NS_PER_MS
    recording.calls = recording.calls.astype(CALLS.dtype())
    recording.write(tmp_path)
    write_results(tmp_path, results(plan))
    data = embedded(_html(tmp_path), "timeline-data")
    end = list(zip(data["x"], data["lines"][-1]["y"], strict=True))
    rising = next(x for x, y in end if y > 1_000)
    assert 34.7 < rising < 35.0, "a two-second bin would have risen as early as 34 s"
    assert rising == pytest.approx(data["bands"][0]["caught"], abs=0.001)


def test_results_are_inside_and_are_the_judges(big: str) -> None:
    assert embedded(big, "results") == json.loads(canonical_json(results(five_minutes())))


def test_every_picture_has_words_and_every_table_heads(big: str) -> None:
    page = Page(big)
    pictures = [attributes for _, attributes in page.elements if attributes.get("role") == "img"]
    assert len(pictures) > 8
    assert all(picture.get("aria-label") for picture in pictures)
    assert len(page.all("h1")) == 1
    assert all(head.get("scope") for head in page.all("th"))
    targets = {attributes.get("id") for _, attributes in page.elements}
    for _, attributes in page.elements:
        for name in ("aria-labelledby",):
            assert attributes.get(name) is None or attributes[name] in targets
    ids = [attributes["id"] for _, attributes in page.elements if attributes.get("id")]
    assert len(ids) == len(set(ids))
    verdicts = re.findall(r'class="pill (\w+)"><span aria-hidden="true">(.)</span> (\w+)', big)
    assert {("fail", "✕", "Fail"), ("pass", "✓", "Pass"), ("inconclusive", "?", "Inconclusive")} <= set(verdicts)


def _nasty_plan() -> Plan:
    fault = slow_fault().model_copy(update={"name": f"azure-slow{NASTY}", "text": f"latency 60s{NASTY}"})
    plan = make_plan(faults=[fault])
    upstream = plan.upstreams[0].model_copy(update={"name": f"azure{NASTY}"})
    fault = fault.model_copy(update={"upstreams": (upstream.name,)})
    request = plan.load.requests[0].model_copy(update={"asks": (upstream.name,)})
    load = plan.load.model_copy(update={"requests": (request,)})
    return plan.model_copy(
        update={"upstreams": (upstream,), "faults": (fault,), "name": f"made-up{NASTY}", "load": load}
    )


def test_nothing_from_outside_can_act_on_the_page(tmp_path: Path) -> None:
    plan = _nasty_plan()
    run_dir = write_run(tmp_path, plan, results(plan, nasty=NASTY, verdict="rig_failure"))
    (run_dir / "logs").mkdir()
    (run_dir / "logs" / "sut.log").write_bytes(b"\xff\xfe" + NASTY.encode())
    html = _html(run_dir)
    assert "<script>alert" not in html
    assert html.count("<script>") == 3
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\ud800-\udfff]", html)
    assert "<b>\\x1b" not in html
    page = Page(html)
    assert "\\x1b[31m\\u202e\\x00" in page.text, "it is shown, not dropped"
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    # the JSON still says what the judge said
    assert embedded(html, "results")["reason"].endswith(NASTY)


def test_secrets_are_masked_on_the_page_and_in_its_json(tmp_path: Path) -> None:
    plan = make_plan()
    service = PlannedService(
        kind="command",
        argv=("serve", "--db", "postgres://app:hunter2@db/app"),
        env={"API_TOKEN": "s3cret-value", "DB": "${DB_URL}"},
        url="http://127.0.0.1:1",
    )
    plan = plan.model_copy(update={"service": service})
    html = _html(write_run(tmp_path, plan, results(plan, nasty=" Authorization: Bearer abcdefgh123")))
    for secret in ("hunter2", "s3cret-value", "abcdefgh123"):
        assert secret not in html
    assert "${DB_URL}" in Page(html).text


def test_without_faults_and_upstreams(tmp_path: Path) -> None:
    plan = make_plan(upstreams=(), duration_ms=20_000)
    html = _html(write_run(tmp_path, plan, results(plan, verdict="pass", gates=(gate(),))))
    assert "PASS" in Page(html).text
    assert "Who made slow requests slow" not in html
    assert embedded(html, "timeline-data")["bands"] == []


def test_a_default_gate_is_called_a_floor(tmp_path: Path) -> None:
    plan = make_plan(duration_ms=20_000).model_copy(update={"default_gates": True})
    assert "A floor, not a service level." in Page(_html(write_run(tmp_path, plan))).text


def test_a_written_gate_is_not(big: str) -> None:
    assert "floor" not in Page(big).text


def test_a_rig_that_never_got_to_its_load_still_tells_what_broke(tmp_path: Path) -> None:
    plan = make_plan(faults=[slow_fault()])
    run_dir = write_run(tmp_path, plan, results(plan, verdict="rig_failure", gates=(), phases=(), landed=False))
    manifest = Manifest.read(run_dir)
    ended = RunEnd(
        reason="never_ready",
        deaths=(ProcessExit(child="sut", t_ns=5, code=-9, last_line="Killed"),),
        rig=(HarnessFault(check="files", message="the service never answered /healthz", fix="see logs/sut.log"),),
    )
    manifest.model_copy(update={"t0_ns": None, "ended": ended}).write(run_dir)
    (run_dir / "logs").mkdir()
    (run_dir / "logs" / "sut.log").write_text("Traceback\nOSError: address in use\n")
    for path in run_dir.glob("*.bin*"):
        path.unlink()
    text = Page(_html(run_dir)).text
    for words in (
        "RIG FAILURE",
        "What broke",
        "the service never answered /healthz",
        "see logs/sut.log",
        "sut ended by itself with signal 9; its last line: Killed",
        "OSError: address in use",
        "There is nothing to draw",
        "not proven",
        "No gate was judged.",
    ):
        assert words in text, words


def test_without_plan_and_manifest_there_is_still_a_page(tmp_path: Path) -> None:
    write_results(tmp_path, results(make_plan(), verdict="rig_failure"))
    text = Page(_html(tmp_path)).text
    assert "manifest.json is missing" in text
    assert "There is nothing to draw" in text


def test_a_row_file_cut_short(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path, make_plan(duration_ms=20_000), results(make_plan(), verdict="rig_failure"))
    (run_dir / "samples-0.bin.end").unlink()
    assert "samples-0.bin was never closed" in Page(_html(run_dir)).text


def test_an_interrupted_run_of_the_closed_model(tmp_path: Path) -> None:
    plan = make_plan(duration_ms=30_000)
    closed = plan.load.model_copy(update={"model": "closed", "users": 10})
    run_dir = write_run(tmp_path, plan)
    changed = plan.model_copy(update={"load": closed})
    changed.write(run_dir)
    write_results(run_dir, results(changed, verdict="inconclusive", stopped="interrupted"))
    text = Page(_html(run_dir)).text
    assert "interrupted" in text
    assert "closed model" in text
    assert "req/s" not in text


def test_sixty_four_upstreams_are_not_sixty_four_lines(tmp_path: Path) -> None:
    plan = make_plan(upstreams=[f"u{index}" for index in range(64)], duration_ms=20_000)
    html = _html(write_run(tmp_path, plan, results(plan, phases=())))
    assert len(embedded(html, "timeline-data")["lines"]) == 13
    assert "52 quieter upstreams are not drawn" in Page(html).text


def test_the_same_run_gives_the_same_page(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path, make_plan(duration_ms=20_000))
    assert _html(run_dir) == _html(run_dir)


def test_pooled_runs_show_the_pools_results_and_the_first_runs_rows(tmp_path: Path) -> None:
    plan = make_plan(duration_ms=20_000)
    for name in ("run-2", "run-10", "run-1"):
        write_run(tmp_path / name, plan, results(plan, verdict="inconclusive"))
    write_results(tmp_path, results(plan, verdict="pass", gates=(gate(),)))
    before = (tmp_path / "results.json").read_bytes()
    html = {path.name: path for path in write_reports(tmp_path)}["report.html"].read_text(encoding="utf-8")
    assert re.findall(r'<a href="(run[^"]+)">', html) == [f"run-{n}/report.html" for n in (1, 2, 10)]
    assert "PASS" in Page(html).text
    assert embedded(html, "timeline-data")["lines"]
    assert (tmp_path / "results.json").read_bytes() == before


def test_backticks_become_code_and_nothing_else(tmp_path: Path) -> None:
    plan = make_plan(duration_ms=20_000)
    made = results(plan).model_copy(update={"why": "`a<b>` and <i> `odd`", "next": "one ` tick"})
    html = _html(write_run(tmp_path, plan, made))
    assert "<dd><code>a&lt;b&gt;</code> and &lt;i&gt; <code>odd</code></dd>" in html
    assert "<dd>one ` tick</dd>" in html


def test_the_tables_of_the_page_are_those_of_its_lines(big: str) -> None:
    data = embedded(big, "timeline-data")
    bins = len(data["x"]) - 1
    table = big[big.index("<caption>p99 per bin") : big.index("</table>", big.index("<caption>p99 per bin"))]
    assert table.count("<tr>") == bins + 1
    assert sum(int(n) for n in re.findall(r"s<td>\d+\.\d s<td>(\d+)", table)) > 11_000
