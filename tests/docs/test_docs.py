"""The documents tell the truth: scenarios validate, links lead somewhere, commands, names and error texts exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest

from aggregator.monitoring import Metrics
from aggregator.settings import SettingsError, parse_settings
from harness.cli.display import output
from harness.cli.group import COMMANDS, _tailgate
from harness.cli.validate import validate_command
from harness.errors import Problem, ScenarioError
from harness.faults import FAULTS
from harness.gates import GATES
from harness.gates.parse import parse_gate
from harness.gates.shares.outcomes import BAD_OUTCOMES
from harness.model.strict_model import StrictModel
from harness.rundir.results import EXIT_CODE
from harness.rundir.rows import CALLS, SAMPLES, Outcome, RowLayout, RowWriter
from harness.scenario import catalog_names, load_scenario
from harness.scenario.load import dry_plan
from harness.scenario.schema.matrix import Matrix
from harness.scenario.schema.requests import Expect, Request, StagePart
from harness.scenario.schema.scenario import Gateway, Load, Scenario, Service, Verdict
from harness.upstreams.kinds import upstream_kinds
from tests.docs import samples

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
FENCE = re.compile(r"(?:^`([\w-]+\.\w+)`:\n\n)?^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
"""A block, and the name of its file where the line above gives it one: `` `least.yaml`: ``."""
CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
PACKAGES = ("harness", "scenarios", "fake_backends", "aggregator", "reports", "tests", "bench", "docs", "examples")


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(language: str) -> Iterator[tuple[str, str, str]]:
    """Place, file name (or nothing) and text of each block of a language."""
    for page in PAGES:
        for number, (name, kind, text) in enumerate(FENCE.findall(page.read_text(encoding="utf-8"))):
            if kind == language:
                yield f"{page.relative_to(ROOT)}#{number}", name, text


def spans(text: str) -> list[str]:
    """Its code spans, as a reader sees them."""
    return [span[1:-1] if span[0] == span[-1] == " " else span for _, span in CODE.findall(text)]


def tables(page: str, head: str) -> list[list[str]]:
    """The rows of every table of a page whose first column is called `head`, as cells of Markdown."""
    rows: list[list[str]] = []
    for table in re.findall(r"(?:^\|.*\n)+", read(page), re.MULTILINE):
        lines = [[cell.strip() for cell in line[1:-1].split("|")] for line in table.splitlines()]
        if lines[0][0] == head:
            rows += lines[2:]
    assert rows, (page, head)
    return rows


# ---------------------------------------------------------------- links, lines, names of files


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_images_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(#[^)\s]+)?\)", page.read_text(encoding="utf-8")):
        if re.match(r"\w+:", target):
            continue
        found = page.parent / target if target else page
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", found.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor[1:] in {heading.lower().replace(" ", "-") for heading in headings}, anchor


def test_lines_fit_a_terminal() -> None:
    for page in PAGES:
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
            if not line.startswith(("|", "!", "  ")):
                assert len(line) <= 120, f"{page.name}:{number}"


def test_files_that_are_named_exist() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        examples = re.findall(r"^--- /dev/null\n\+\+\+ b/(\S+)$", text, re.MULTILINE)
        for span in spans(text):
            if span.partition("/")[0] in PACKAGES and re.fullmatch(r"\w+(/[\w.-]+)+/?", span) and span not in examples:
                assert (ROOT / span).exists(), (page.name, span)


def test_decisions_are_numbered() -> None:
    records = sorted((ROOT / "docs/decisions").glob("*.md"))
    for number, record in enumerate(records, 1):
        assert record.name.startswith(f"{number:04}-"), record.name
        assert record.read_text(encoding="utf-8").startswith(f"# {number}. "), record.name


def test_code_that_is_shown_is_ours() -> None:
    ours = [path.read_text(encoding="utf-8") for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    shown = [text for where, _, text in blocks("python") if "extending.md" in where]
    assert len(shown) >= 2  # changes are tried by tests/structure/test_extending.py
    for text in shown:
        assert any(text in source for source in ours), text


def test_the_readme_leads_to_every_page() -> None:
    linked = set(re.findall(r"\]\(([^)#\s]+)", read("README.md")))
    for page in (ROOT / "docs").glob("*.md"):
        assert f"docs/{page.name}" in linked, page.name


def test_the_demo_lasts_as_long_as_is_said() -> None:
    loads = [dry_plan(cell.loaded.checked)[0].load for cell in load_scenario("ladder").cells]
    assert [load.warmup_ms + load.duration_ms for load in loads] == [35_000] * 6
    for page in ("README.md", "Makefile", "scenarios/catalog/ladder.yaml"):
        assert "six loads of 35 s" in read(page), page


# ---------------------------------------------------------------- samples of output


def test_the_sample_of_the_demo_is_spelled_as_a_demo_is(tmp_path: Path) -> None:
    """Its figures are put into results, and these are printed: every character comes out again."""
    [sample] = [text for where, _, text in blocks("") if where.startswith("README.md#") and text.startswith("cell ")]
    assert samples.matrix_summary(sample, load_scenario("ladder"), tmp_path) == sample


def test_the_sample_of_a_run_that_fails_has_the_shape_of_one(tmp_path: Path) -> None:
    [sample] = [text for _, _, text in blocks("") if text.startswith("gate ")]
    printed = samples.run_summary(load_scenario("ladder"), tmp_path)
    assert samples.shape(sample) == samples.shape(printed)


def test_the_sample_of_a_comparison_has_the_shape_of_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [sample] = [text for _, _, text in blocks("") if text.startswith("baseline  ")]
    rows = samples.comparison_rows(tmp_path, capsys)
    assert {samples.outline(line) for line in sample.splitlines()} <= {samples.outline(line) for line in rows}


# ---------------------------------------------------------------- commands


def test_every_command_and_flag_exists() -> None:
    context = click.Context(_tailgate)
    seen = set()
    places = [(where, text) for language in ("", "sh", "yaml") for where, _, text in blocks(language)]
    places += [(page.name, "\n".join(spans(page.read_text(encoding="utf-8")))) for page in PAGES]
    for where, text in places:
        for line in re.findall(r"(?:^|run: )tailgate ([^#|\n]*)", text, re.MULTILINE):
            words = line.split()
            assert words[0] in COMMANDS, (where, line)
            command = _tailgate.get_command(context, words[0])
            if isinstance(command, click.Group):
                command = command.get_command(context, words[1])
            assert command is not None, (where, line)
            flags = {flag for parameter in command.params for flag in parameter.opts}
            assert {word.partition("=")[0] for word in words if word.startswith("--")} <= flags, (where, line)
            seen.add(words[0])
    assert seen >= {"run", "validate", "judge", "compare", "report", "schema", "init", "doctor", "toxiproxy"}


def test_the_catalog_is_in_the_readme_and_validates() -> None:
    readme = read("README.md")
    for name in catalog_names():
        assert f"| `{name}` |" in readme, name
        assert load_scenario(name).scenario.name == name


# ---------------------------------------------------------------- scenarios


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every block that has a file name, under it."""
    path = tmp_path_factory.mktemp("named")
    for language in ("yaml", "csv"):
        for _, name, text in blocks(language):
            if name:
                (path / name).write_text(text, encoding="utf-8")
    for script in ("trip.py", "shop.py"):
        (path / script).touch()  # the reader's own services
    return path


SCENARIOS = [
    (where, name, text)
    for where, name, text in blocks("yaml")
    if re.search(r"^name:", text, re.M) and name != "mistaken.yaml"
]


@pytest.mark.parametrize(("where", "name", "text"), SCENARIOS, ids=[where for where, *_ in SCENARIOS])
def test_a_whole_scenario_validates(where: str, name: str, text: str, folder: Path) -> None:
    path = folder / (name or "unnamed.yaml")
    path.write_text(text, encoding="utf-8")
    assert not load_scenario(path).warnings


def test_there_are_scenarios_to_validate() -> None:
    assert len(SCENARIOS) >= 7


def test_what_validate_prints(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    validate_command.main(["least.yaml"], standalone_mode=False)
    assert f"```\n{capsys.readouterr().out}```\n" in read("docs/scenarios.md")
    with pytest.raises(ScenarioError) as refused:
        load_scenario("mistaken.yaml")
    output.error(refused.value, as_json=False)
    assert f"```\n{capsys.readouterr().err}```\n" in read("docs/scenarios.md")


MISTAKES = [[spans(cell) for cell in row] for row in tables("docs/scenarios.md", "setting")]


@pytest.mark.parametrize("row", MISTAKES, ids=lambda row: row[0][0])
def test_a_mistake_is_answered_as_quoted(row: list[list[str]], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNSET", raising=False)
    [setting], [message], [fix] = row
    with pytest.raises(ScenarioError) as refused:
        load_scenario(folder / "least.yaml", [setting])

    def quoted(problem: Problem) -> bool:
        return message in problem.message and fix in problem.fix

    assert any(map(quoted, refused.value.problems)), refused.value.problems


# ---------------------------------------------------------------- tables that must be whole


def test_every_field_is_in_the_reference() -> None:
    said = set(re.findall(r"[\w.]+", " ".join(spans(read("docs/scenarios.md")))))
    parts: tuple[type[StrictModel], ...] = (
        Scenario,
        Service,
        Gateway,
        Load,
        StagePart,
        Request,
        Expect,
        Verdict,
        Matrix,
    )
    for part in (*parts, *FAULTS.values(), *upstream_kinds()):
        for key in part.spelled_keys():
            spelled = "toxiproxy.url" if key == "toxiproxy" else key
            examples = " ".join(text for where, _, text in blocks("yaml") if "scenarios.md" in where)
            assert spelled in said or f"{key}:" in examples, (part.__name__, key)


def test_every_kind_of_fault_is_in_the_table() -> None:
    kinds = [spans(row[0])[0].partition(":")[0] for row in tables("docs/scenarios.md", "kind")]
    assert kinds == list(FAULTS)


def test_every_gate_in_the_table_can_be_parsed() -> None:
    rows = tables("docs/scenarios.md", "gate")
    gates = [parse_gate(gate) for row in rows for gate in spans(row[0])]
    assert {type(gate) for gate in gates} >= set(GATES.kinds())
    said = " ".join(" ".join(row) for row in rows)
    assert all(re.search(rf"\b{outcome}\b", said) for outcome in BAD_OUTCOMES)


def test_the_aggregators_tables() -> None:
    metrics = Metrics(["azure"])
    metrics.errors.labels("azure", "connection")
    metrics.requests.labels("200")
    families = re.findall(r"^# TYPE (\S+) (?:counter|gauge|histogram)$", metrics.text().decode(), re.MULTILINE)
    counted = {name for name in families if not name.endswith("_created")}
    assert {spans(row[0])[0] for row in tables("docs/monitoring.md", "metric")} == counted
    variables = {spans(row[0])[0] for row in tables("docs/aggregator.md", "variable")}
    assert variables == set(re.findall(r"AGGREGATOR_[A-Z_]+", read("aggregator/settings.py")))


def test_the_aggregator_refuses_as_quoted() -> None:
    with pytest.raises(SettingsError) as refused:
        parse_settings(["--rung", "thread", "--port", "0"], {"AGGREGATOR_BACKENDS": "azure=http://127.0.0.1:1"})
    assert f"```\nerror: {refused.value}\n```\n" in read("docs/aggregator.md")


# ---------------------------------------------------------------- results


@pytest.mark.parametrize(("column", "kind", "layout"), [(0, "samples", SAMPLES), (2, "calls", CALLS)])
def test_the_table_of_rows(column: int, kind: str, layout: RowLayout) -> None:
    assert f"| {kind}, {layout.size} bytes |" in read("docs/results.md")
    told = {}
    for row in tables("docs/results.md", f"samples, {SAMPLES.size} bytes"):
        if field := re.match(r"`(\w+)` ([ui])(\d+)", row[column + 1]):
            told[field[1]] = (int(row[column]), np.dtype(f"<{field[2]}{int(field[3]) // 8}"))
    fields = layout.dtype().fields
    assert fields and told == {name: (field[1], field[0]) for name, field in fields.items()}


def test_the_snippet_reads_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with RowWriter(tmp_path / "samples-0.bin", SAMPLES) as rows:
        rows.append(7, 1_000_000, 2_000_000, 0, 6_000_000, 3, 100, 200, 0, 0, Outcome.OK, 0)
        rows.append(8, 2_000_000, 3_000_000, 0, 4_000_000, 0, 300, 504, 0, 0, Outcome.GATEWAY_TIMEOUT, 0)
    [snippet] = [text for where, _, text in blocks("python") if "results.md" in where]
    exec(re.sub(r'"[^"]*samples-0\.bin"', repr(str(tmp_path / "samples-0.bin")), snippet), {})
    assert capsys.readouterr().out == "2 5.0 0.5\n"


def test_outcomes_and_exit_codes() -> None:
    text = " ".join(read("docs/results.md").split())
    assert ", ".join(f"{outcome.value} {outcome.name.lower()}" for outcome in Outcome) in text
    words = {"pass": "pass", "fail": "a gate failed", "inconclusive": "inconclusive", "rig_failure": "the rig failed"}
    assert all(f"{code} {words[verdict]} ·" in text for verdict, code in EXIT_CODE.items())
