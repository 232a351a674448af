"""What is imported while the load warms up: all that judging and reporting need, where there is time for it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType

import pytest

from harness.run import preload
from harness.run.preload import MODULES, WARMUP_LEAST_MS, Preload
from harness.rundir.plan import Plan
from tests.run.real_runs import INCIDENT
from tests.rundir.recording import make_plan, record, slow_fault

ROOT = Path(__file__).parents[2]
GATES = (
    "p99 < gateway.timeout during azure-slow",
    "errors < 1%",
    "complete > 99% during azure-slow",
    "throughput > 1/s",
    "calls < 10",
    "rss < 1GB",
    "recovery < 10s after azure-slow",
    "named azure within 5s during azure-slow",
)
"""One of each family, since gates import what they judge with when they do."""
PROGRAM = f"""
import sys
from pathlib import Path
import harness.run.invocation
from harness.run.preload import load
from harness.gates.parse import parse_gate
for gate in {GATES!r}:  # as reading the scenario does
    parse_gate(gate)
for module in {MODULES!r}:
    load(module)
before = set(sys.modules)
from harness.run.run import judge_and_report
import jinja2
from harness.rundir.results import Results
assert Results.__pydantic_complete__
def refuse(*_, **__):
    raise AssertionError("a template is compiled when the run is over")
jinja2.Environment.compile = refuse
judge_and_report(Path(sys.argv[1]))
ours, others = ("harness", "reports", "scenarios"), {{"numpy", "scipy", "pandas", "jinja2"}}
found = set(sys.modules) - before
print(*sorted(name for name in found if name.partition(".")[0] in ours or name in others))
"""

BEFORE = """
import sys
from pathlib import Path
from harness.cli.display.live import make_display
from harness.run import invocation, run
from harness.run.signals import Stopper
from harness.run.run import Options, Session

def stop(*_, **__):
    raise SystemExit(0)

run.StackClient.up = stop
loaded = invocation.load_all([sys.argv[1]], (), ())
invocation.refuse_missing_baseline(loaded, None)
try:
    with Stopper() as stopper:
        invocation.run_suite(Session(Options(out=Path(sys.argv[2])), make_display(quiet=True), stopper), loaded)
finally:
    print("up", *sorted({"numpy", "scipy", "pandas", "jinja2", "requests"} & set(sys.modules)))
"""


def plan_of(warmup_ms: float) -> Plan:
    return make_plan(warmup_ms=warmup_ms)


def test_nothing_that_takes_long_is_left_to_import(tmp_path: Path) -> None:
    run_dir = record(make_plan(faults=[slow_fault()], gates=GATES)).write(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(run_dir)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


@pytest.mark.stack
@pytest.mark.usefixtures("toxiproxy_binary")
def test_nothing_that_takes_long_is_imported_before_the_stack_is_started(tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").write_text(INCIDENT, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", BEFORE, str(tmp_path / "scenario.yaml"), str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.split() == ["up"], done.stderr


class Imports:
    """In place of importing: which modules were asked for. `blocked`: none is done before `let` is set."""

    def __init__(self, *, blocked: bool = False) -> None:
        self.names: list[str] = []
        self.begun = threading.Event()
        self.let = threading.Event()
        if not blocked:
            self.let.set()

    def __call__(self, name: str) -> ModuleType:
        self.names.append(name)
        self.begun.set()
        assert self.let.wait(10)
        if name == "gone":
            raise ModuleNotFoundError(name)
        return ModuleType(name)


@pytest.fixture
def imports(monkeypatch: pytest.MonkeyPatch) -> Imports:
    made = Imports()
    monkeypatch.setattr(preload, "import_module", made)
    return made


def _await(imports: Imports, count: int) -> None:
    end = time.monotonic() + 10
    while len(imports.names) < count:
        assert time.monotonic() < end, imports.names
        time.sleep(0.005)


def test_every_module_is_imported_once_whatever_happens_to_another(imports: Imports) -> None:
    with Preload(("a", "gone", "b")) as loading:
        loading.start(plan_of(WARMUP_LEAST_MS))
        loading.start(plan_of(WARMUP_LEAST_MS))
        _await(imports, 3)
    assert imports.names == ["a", "gone", "b"]


def test_a_module_that_can_do_more_before_the_run_is_over_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def found(name: str) -> ModuleType:
        module = ModuleType(name)
        module.prepare = lambda: done.append(name)  # type: ignore[attr-defined]
        return module

    monkeypatch.setattr(preload, "import_module", found)
    preload.load("a")
    assert done == ["a"]


def test_a_short_warmup_leaves_it_to_the_judge(imports: Imports) -> None:
    with Preload(("a",)) as loading:
        loading.start(plan_of(WARMUP_LEAST_MS - 1))
    assert imports.names == []


def test_who_leaves_waits_for_the_one_under_way_and_begins_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    imports = Imports(blocked=True)
    monkeypatch.setattr(preload, "import_module", imports)
    with Preload(("a", "b")) as loading:
        loading.start(plan_of(WARMUP_LEAST_MS))
        assert imports.begun.wait(10)
        threading.Timer(0.1, imports.let.set).start()
    assert imports.names == ["a"]
    assert imports.let.is_set(), "it was waited for"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a priority belongs to a process")
def test_it_works_at_a_low_priority_and_leaves_its_process_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def look(name: str) -> ModuleType:
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return ModuleType(name)

    before = os.getpriority(os.PRIO_PROCESS, os.getpid())
    monkeypatch.setattr(preload, "import_module", look)
    with Preload(("a",)) as loading:
        loading.start(plan_of(WARMUP_LEAST_MS))
        end = time.monotonic() + 10
        while not seen and time.monotonic() < end:
            time.sleep(0.005)
    assert seen == [preload.NICENESS]
    assert os.getpriority(os.PRIO_PROCESS, os.getpid()) == before
