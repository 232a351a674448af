"""docs/extending.md keeps its word: each change that it shows is applied to a copy of the tree, and works there.

The change is taken from the page as it stands, and what it touches must be the files that the page names, no more.
Each runs in an interpreter of its own, which sees the copy and nothing else of tailgate.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ("harness", "scenarios", "fake_backends", "reports")
WITHIN_S = 120.0
"""A few seconds where nothing else runs."""
_SECTION = re.compile(r"^## (.+)\n", re.MULTILINE)
_CHANGE = re.compile(r"^Files: ((?:.+\n)+)\n```diff\n((?:[-+ @].*\n)+)```$", re.MULTILINE)
_PATCHED = re.compile(r"^--- (\S+)\n\+\+\+ b/(\S+)$", re.MULTILINE)

SCENARIO = """\
name: extended
service: {service}
upstreams:
  azure: {azure}
  gcp: {{p50: 60ms, p99: 140ms}}
gateway: {{timeout: 5s}}
load: {{request: GET /v1/offers, rate: 40/s}}
faults:
  - {{upstream: azure, {fault}, for: 90s}}
gates:
  - {gate}
"""
VALIDATE = """
from harness.cli import main
main(["validate", "extended.yaml"])
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """What shows that a change works: a program, run in the copy beside a scenario that uses the new thing."""

    section: str
    program: str
    service: str = "{rung: timeout}"
    azure: str = "{p50: 60ms, p99: 140ms}"
    fault: str = "latency: 60s"
    gate: str = "errors < 1% during azure-latency"
    packages: tuple[str, ...] = PRODUCT
    mutant: str = ""
    """The name of the mutant that comes with it, run by the copy's own tests."""

    @property
    def scenario(self) -> str:
        return SCENARIO.format(service=self.service, azure=self.azure, fault=self.fault, gate=self.gate)


SHOWN = (
    Shown(
        "A fault",
        """
from harness.faults import FaultContext, UnobservableFault, parse_fault

effect = parse_fault({"upstream": "azure", "for": "90s", "stall": "3s"}).compile(FaultContext(5000, 80_000))
[toxic] = effect.toxics
assert (toxic.type, toxic.attributes) == ("timeout", {"timeout": 3000}), toxic
assert (effect.held_ms, effect.proof.kind, effect.proof.least_ms) == (3000, "held", 2000), effect
assert parse_fault({"upstream": "azure", "for": "90s", "stall": "1s"}).compile(FaultContext(5000, 1)).proof.kind == (
    "failed"
)
"""
        + VALIDATE,
        fault="stall: 3s",
        gate="errors < 1% during azure-stall",
    ),
    Shown(
        "A gate",
        """
from harness.gates.parse import GateSyntaxError, parse_gate
from harness.scenario.schema.json_schema import scenario_schema

assert parse_gate("first_byte < 1.5s during azure-latency").limit_ms == 1500
assert "first_byte < 500ms" in str(scenario_schema())
try:
    parse_gate("first-byte < 1s")
except GateSyntaxError as refused:
    assert refused.fix == "did you mean `first_byte`?", refused.fix
"""
        + VALIDATE,
        gate="first_byte < 500ms during azure-latency",
        packages=(*PRODUCT, "tests"),
        mutant="no first byte taken for an early one",
    ),
    Shown(
        "A report format",
        """
from pathlib import Path
from harness.cli import main
from tests.reports.made_up_results import gate, results, write_results
from tests.rundir.recording import make_plan

good, bad = gate(text="p99 < 2s", reason="so"), gate("fail", text="errors < 1%", reason="ticket #7")
write_results(Path("."), results(make_plan(), gates=(good, bad)))
try:
    main(["report", ".", "--format", "tap"])
finally:
    print(Path("results.tap").read_text())
    first, *lines = Path("results.tap").read_text().splitlines()
    assert first == "1..2"
    assert lines[0].startswith("ok 1 - p99 < 2s # ")
    assert lines[1] == "not ok 2 - errors < 1% # ticket \\\\#7"
""",
        packages=(*PRODUCT, "tests"),
    ),
    Shown(
        "A provider",
        """
import json
from fake_backends.providers import IncomingRequest
from fake_backends.backend import FakeBackend
from harness.scenario import load_scenario
from harness.scenario.load import dry_plan

planned = dry_plan(load_scenario("extended.yaml").checked)[0].upstreams[0]
fake = FakeBackend(planned, seed=1, in_flight=1)
answer = fake.provider.respond(IncomingRequest("GET", "/v2/fares", b"to=OSL"))
[fare] = json.loads(answer.body)["data"]
assert (answer.status, fare["to"], fare["id"]) == (200, "OSL", "fare-1-tg-azure."), answer
assert b"-tg-azure." in fake.healthy.body
assert not fake.provider.respond(IncomingRequest("POST", "/v2/fares")).matched
"""
        + VALIDATE,
        service='{command: ["python3", "-m", serve, "{azure.url}", "{gcp.url}", "{port}"]}',
        azure="{provider: fares}",
    ),
    Shown(
        "A latency profile",
        """
from harness.upstreams.profiles import profile_of
from harness.scenario import load_scenario
from harness.scenario.load import dry_plan

planned = dry_plan(load_scenario("extended.yaml").checked)[0].upstreams[0]
profile = profile_of(planned.fake)
assert abs(profile.latency_ms(0.5) - 83.18) < 0.01, profile
assert abs(profile.latency_ms(0.99) - 552.62) < 0.01, profile
assert abs(planned.fake.p50_ms - 83.18) < 0.01, planned
"""
        + VALIDATE,
        azure="{profile: {exponential: {mean: 120ms}}}",
    ),
    Shown(
        "A kind of upstream",
        """
import asyncio
from harness.errors import ScenarioError
from harness.rundir.planned.upstream import Endpoint
from harness.scenario import load_scenario
from harness.scenario.load import dry_plan
from harness.stack.monitor.observe import observe
from harness.upstreams.probes import probe_of

planned = dry_plan(load_scenario("extended.yaml").checked)[0].upstreams[0]
assert (planned.kind, planned.origin, planned.fake) == ("mail", Endpoint(port=2525), None), planned
assert not planned.records_calls


class Ports:
    def opened(self, port): pass

    def closed(self, port): pass


async def observed(greeting):
    def serve(_reader, writer):
        writer.write(greeting)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    listener = Endpoint(port=server.sockets[0].getsockname()[1])
    try:
        return await observe(probe_of(planned, reads_to_end=True), listener, 5_000, Ports())
    finally:
        server.close()


well = asyncio.run(observed(b"220 mail.example ready\\r\\n"))
assert (well.outcome, well.bytes) == ("ok", 24), well
assert asyncio.run(observed(b"421 too busy\\r\\n")).detail == "greeted with 421"
assert asyncio.run(observed(b"")).detail == "closed without an answer"
try:
    load_scenario("extended.yaml", ["faults[0]={upstream: azure, status: 503, for: 90s, name: azure-latency}"])
except ScenarioError as refused:
    message = refused.problems[0].message
    assert message == "`status` breaks single answers, and those of azure pass unseen", refused.problems
else:
    raise AssertionError("a fault on single answers was taken")
"""
        + VALIDATE,
        azure="{mail: 2525}",
    ),
)


def changes() -> dict[str, tuple[str, str]]:
    """Of each section of the page that shows a change: the list of its files, and the change."""
    page = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
    _, *parts = _SECTION.split(page)
    found = zip(parts[::2], map(_CHANGE.search, parts[1::2]), strict=True)
    return {title: (change[1], change[2]) for title, change in found if change}


def test_every_change_on_the_page_is_tried() -> None:
    assert list(changes()) == [shown.section for shown in SHOWN]
    assert (ROOT / "docs/extending.md").read_text(encoding="utf-8").count("```diff\n") == len(SHOWN)


@pytest.mark.parametrize("section", [shown.section for shown in SHOWN])
def test_the_files_that_a_change_touches_stand_beside_it(section: str) -> None:
    files, change = changes()[section]
    touched = {path: old == "/dev/null" for old, path in _PATCHED.findall(change)}
    named = {path: bool(new) for path, new in re.findall(r"`([\w./]+)`( \(new\))?", files)}
    assert named == touched
    assert [path for path, new in touched.items() if new and (ROOT / path).exists()] == []
    kinds = [path for path, new in touched.items() if not new and not path.startswith("tests/")]
    assert len(kinds) <= 2, "a seam is a file and a line, or two lines where a contract forbids the import"


@pytest.mark.parametrize("shown", SHOWN, ids=lambda shown: shown.section)
def test_a_change_applied_to_the_tree_works(shown: Shown, tmp_path: Path) -> None:
    for package in shown.packages:
        shutil.copytree(ROOT / package, tmp_path / package)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    _run(tmp_path, "git", "apply", "--unidiff-zero", "--whitespace=error", "-", fed=changes()[shown.section][1])
    (tmp_path / "extended.yaml").write_text(shown.scenario, encoding="utf-8")
    own = f"import harness\nassert harness.__file__.startswith({str(tmp_path)!r}), harness.__file__\n"
    _run(tmp_path, sys.executable, "-c", own + shown.program)
    if shown.mutant:
        mutant = f"tests/verdict/test_mutants.py::test_the_mistake_changes_a_verdict[{shown.mutant}]"
        assert "1 passed" in _run(tmp_path, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", mutant)


def _run(folder: Path, *argv: str, fed: str = "") -> str:
    """What it prints. Git is kept from taking a repository around the folder for its own."""
    environ = {**os.environ, "PYTHONPATH": str(folder), "GIT_CEILING_DIRECTORIES": str(folder.parent), "NO_COLOR": "1"}
    done = subprocess.run(
        argv, cwd=folder, env=environ, input=fed, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert done.returncode == 0, f"{argv}\n{done.stdout}\n{done.stderr}"
    return done.stdout
