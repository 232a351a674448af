"""A gate's text is parsed once when a scenario is loaded: cells, checks, planning and `run` take what was parsed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from harness.gates import Gate, parse
from harness.run.invocation import refuse_missing_baseline
from harness.scenario.planning.timeline import compute_timeline
from tests.scenario.world import GOOD, LADDER, load, plan_of


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    texts: Counter[str] = Counter()
    parse_gate = parse.parse_gate

    def counted(text: str) -> Gate:
        texts[text] += 1
        return parse_gate(text)

    monkeypatch.setattr("harness.scenario.load.parse_gate", counted)
    return texts


@pytest.mark.parametrize("text", [GOOD, LADDER, GOOD.partition("gates:")[0]], ids=["good", "ladder", "default gates"])
def test_once_for_all_cells_and_everything_that_is_planned(text: str, tmp_path: Path, parsed: Counter[str]) -> None:
    loaded = load(tmp_path, text)
    refuse_missing_baseline([cell.loaded for cell in loaded.cells], None)
    for cell in loaded.cells:
        checked = cell.loaded.checked
        compute_timeline(checked.scenario, [located.gate for located in checked.gates], None)
        assert [gate.text for gate in plan_of(cell.loaded).gates] == [located.gate.text for located in checked.gates]
    assert parsed
    assert set(parsed.values()) == {1}, parsed


def test_no_module_of_the_scenario_parses_gates_but_the_loader() -> None:
    root = Path(parse.__file__).parents[1] / "scenario"
    users = [path for path in root.rglob("*.py") if "import parse_gate" in path.read_text("utf-8")]
    assert [str(path.relative_to(root)) for path in users] == ["load.py"]
