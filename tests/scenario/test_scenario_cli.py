"""`tailgate validate`, `schema` and `init` as a user meets them, and what they cost."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli import main
from harness.scenario import load_scenario
from harness.scenario.starter import starter
from tests.scenario.draft.draft_world import DESCRIPTION
from tests.scenario.world import GOOD, LADDER, changed, uncommented, write

HEAVY = ("numpy", "scipy", "pandas", "locust", "gevent", "requests", "httpx", "toxiproxy", "uvicorn", "aiohttp")


def tailgate(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(words))
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_validate_says_what_would_happen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, LADDER)
    assert tailgate("validate", str(path)) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.replace(str(path), "ladder.yaml") == (
        "ladder: ok, 4 cells, about 2m 32s (ladder.yaml)\n"
        "  cell sequential, expected fail\n"
        "    warmup                     3.00 s      120 arrivals\n"
        "    baseline                   4.00 s      160 arrivals\n"
        "    guard                      2.00 s       80 arrivals\n"
        "    azure-slow                 20.0 s      800 arrivals\n"
        "    tail                       2.00 s       80 arrivals\n"
        "    after azure-slow           4.00 s      160 arrivals\n"
        "    whole                      32.0 s    1,280 arrivals\n"
        "    fault azure-slow: latency 60s on azure, at 6.00 s for 22.0 s\n"
        "  cell parallel, expected fail as above\n"
        "  cell timeout, expected pass as above\n"
        "  cell pushdown, expected pass as above\n"
        "    aws, azure, gcp, oci, lambda, nebius, runpod, vastai: a fake: "
        "each call is recorded; every fault but those on processes; gates on its calls\n"
    )


def test_phases_are_listed_as_they_will_come(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    second = ("for: 90s}\n", "for: 90s}\n  - {upstream: gcp, name: later, latency: 60s, for: 90s}\n")
    assert tailgate("validate", str(write(tmp_path, changed(second)))) == 0
    lines = capsys.readouterr().out.splitlines()[1:10]
    assert [line.split("  ")[2].strip() for line in lines] == [
        "warmup",
        "baseline",
        "guard",
        "azure-latency",
        "tail",
        "after azure-latency",
        "later",
        "after later",
        "whole",
    ]
    assert [line.partition(", in ")[2] for line in lines if ", in " in line] == ["2 stretches", "2 stretches"]


def test_the_path_that_an_address_may_need_is_said_by_validate_and_is_no_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "flights.yaml").write_text(DESCRIPTION, encoding="utf-8")
    service = '{command: [sh, "{port}"], env: {A: "{azure.url}", F: "{flights.url}"}}'
    changes = (("gcp: {}", "flights: {openapi: flights.yaml}"), ("{rung: timeout}", service))
    path = write(tmp_path, changed(*changes))
    assert tailgate("validate", str(path)) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert (
        "    flights answers 3 routes, below /v2: a service that does not add /v2 itself needs {flights.url}/v2\n"
        in out
    )


def test_validate_shows_the_problems_of_all_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write(tmp_path, changed(("rate: 40/s", "rate: 40")), "one.yaml")
    two = write(tmp_path, changed(("for: 90s", "for: 90")), "two.yaml")
    assert tailgate("validate", str(one), str(tmp_path / "none.yaml"), str(two)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{one}:9:9: error: 40 has no unit" in err
    assert f"{two}:11:42: error: 90 has no unit" in err
    assert "none.yaml: error: there is no such file" in err
    assert err.splitlines()[-1] == "3 problems; nothing was started"


def test_validate_prints_one_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, changed(("for: 90s", "for: 45s")))
    assert tailgate("validate", str(path), "--json", "--set", "load.rate=50/s") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["schema_version"], document["kind"]) == (1, "validate")
    (scenario,) = document["scenarios"]
    assert scenario["name"] == "good"
    assert len(scenario["warnings"]) == 2
    (cell,) = scenario["cells"]
    assert {phase["name"]: phase["arrivals"] for phase in cell["phases"]}["azure-latency"] == 2000
    assert tailgate("validate", str(path), "--json", "--set", "load.rate=50") == 2
    document = json.loads(capsys.readouterr().out)
    assert (document["kind"], document["exit_code"]) == ("error", 2)
    assert document["problems"][0]["message"] == "50 has no unit"


def test_warnings_go_to_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, changed(("for: 90s", "for: 45s")))
    assert tailgate("validate", str(path)) == 0
    out, err = capsys.readouterr()
    assert "warning: the window `azure-latency`" in err
    assert "warning:" not in out


def test_validate_says_that_default_gates_are_a_floor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tailgate("validate", str(write(tmp_path, GOOD[: GOOD.index("gates:")]))) == 0
    assert "a floor, not a service level" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["scenario", "results"])
def test_schema_prints_json_schema(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert tailgate("schema", what) == 0
    assert json.loads(capsys.readouterr().out)["$schema"].startswith("http://json-schema.org/draft-07")


def test_init_writes_what_validates_and_never_over_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert tailgate("init") == 0
    assert "scenario.yaml is written; next: tailgate validate scenario.yaml" in capsys.readouterr().out
    assert tailgate("validate", "scenario.yaml") == 0
    assert capsys.readouterr().err == ""
    written = Path("scenario.yaml").read_text(encoding="utf-8")
    assert written.count("#") > 15
    Path("scenario.yaml").write_text("mine", encoding="utf-8")
    assert tailgate("init") == 2
    assert "--force" in capsys.readouterr().err
    assert Path("scenario.yaml").read_text(encoding="utf-8") == "mine"
    assert tailgate("init", "--force") == 0
    assert Path("scenario.yaml").read_text(encoding="utf-8") == written
    assert tailgate("init", "no/such/folder.yaml") == 2


def test_each_fault_that_the_starter_proposes_can_be_taken(tmp_path: Path) -> None:
    scenario = load_scenario(write(tmp_path, uncommented(starter("s.yaml")))).scenario
    assert [fault.targets for fault in scenario.faults] == [("azure",), ("aws",), ("gcp",)]
    assert scenario.gates is not None
    for name in ("azure", "aws", "gcp"):
        assert len([gate for gate in scenario.gates if f" {name}-latency" in str(gate)]) == 4


def test_each_proposed_fault_can_be_taken_without_its_gates(tmp_path: Path) -> None:
    text = starter("s.yaml").replace("  # - {upstream", "  - {upstream")
    assert len(load_scenario(write(tmp_path, text)).scenario.faults) == 3


@pytest.mark.parametrize("source", ["azure-slow", "filtered", "ladder"])
def test_init_from_the_catalog_stands_alone(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert tailgate("init", "mine.yaml", "--from", source) == 0
    text = Path("mine.yaml").read_text(encoding="utf-8")
    assert "extends" not in text.replace("extend this one", "")
    assert text.startswith("# Shows:")
    capsys.readouterr()
    assert tailgate("validate", "mine.yaml", "--json") == 0
    mine = json.loads(capsys.readouterr().out)["scenarios"][0]
    assert tailgate("validate", source, "--json") == 0
    assert mine["cells"] == json.loads(capsys.readouterr().out)["scenarios"][0]["cells"]


@pytest.mark.parametrize(
    "words", [["--help"], ["validate", "ladder"], ["validate", "azure-slow", "--json"], ["schema"], ["init", "--help"]]
)
def test_nothing_heavy_is_imported(words: list[str]) -> None:
    code = f"from harness.cli import main; main({words!r})"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    imported = {match[1] for match in re.finditer(r"\|\s+(\w+)(?:[.\w]*)$", done.stderr, re.MULTILINE)}
    assert "click" in imported
    assert not imported & set(HEAVY)


FAST = """\
name: fast
service: {url: "http://127.0.0.1:9"}
gateway: {kind: none}
load: {rate: 1000/s, request: GET /, duration: 60s}
gates: [errors < 1%]
"""


@pytest.mark.parametrize(("hard", "cut"), [(20_000, True), (1_000_000, False)])
def test_validate_says_that_the_open_file_limit_cuts_the_slots(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, hard: int, cut: bool
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _what: (1_024, hard))
    assert tailgate("validate", str(write(tmp_path, FAST))) == 0
    assert ("note: the open-file limit allows 19,936 requests in flight" in capsys.readouterr().out) is cut


def test_slots_that_the_scenario_writes_are_not_cut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _what: (1_024, 20_000))
    written = FAST.replace("duration: 60s", "duration: 60s, max_in_flight: 75000")
    assert tailgate("validate", str(write(tmp_path, written))) == 0
    assert "open-file limit" not in capsys.readouterr().out
