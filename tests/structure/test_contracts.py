"""The import contracts are alive: each is broken in a copy of the tree, and seen to be caught."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("harness", "scenarios", "fake_backends", "aggregator", "reports")

BREACHES = [
    ("The aggregator stands alone", "aggregator/query.py", "import fake_backends"),
    ("The tester never imports the aggregator", "harness/rundir/rows.py", "import aggregator"),
    ("Only scenarios.drive imports Locust, gevent and libcurl", "reports/report.py", "import gevent"),
    (
        "Only harness.toxiproxy.client imports toxiproxy-python, and with it requests",
        "harness/stack/injection/injector.py",
        "import toxiproxy",
    ),
    ("Only reports imports pandas and jinja2", "harness/units.py", "import pandas"),
    ("Only the fakes' process makes certificates", "harness/text.py", "import trustme"),
    ("Imports go down the house only", "harness/rundir/rows.py", "import harness.evidence"),
    ("Inside the harness every module has its layer", "harness/errors.py", "import harness.rundir.plan"),
    ("The rooms of the stack are layers", "harness/stack/processes/ports.py", "import harness.stack.environment"),
    ("The rooms of the scenario are layers", "harness/scenario/source/merge.py", "import harness.scenario.load"),
    ("The rooms of a run are layers", "harness/run/signals.py", "import harness.run.run"),
]


def lint(folder: Path) -> str:
    """import-linter's report on the packages in `folder`."""
    linter = Path(sys.executable).with_name("lint-imports")
    words = [str(linter), "--config", "pyproject.toml", "--no-cache"]
    return subprocess.run(words, cwd=folder, check=False, capture_output=True, text=True, timeout=120).stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "vendor"))
    return folder


def test_the_tree_keeps_every_contract(copy: Path) -> None:
    report = lint(copy)
    assert re.search(rf"Contracts: {len(BREACHES)} kept, 0 broken", report), report


def test_every_breach_is_caught(copy: Path) -> None:
    for contract, file, line in BREACHES:
        with (copy / file).open("a", encoding="utf-8") as module:
            module.write(f"\n{line}  # {contract}\n")
    report = re.sub(r"\s+", " ", lint(copy))
    assert [contract for contract, _, _ in BREACHES if f"{contract} BROKEN" not in report] == []
    for contract, file, line in BREACHES:
        importer, imported = file.removesuffix(".py").replace("/", "."), line.removeprefix("import ")
        # each is told for its own line, not for one that another contract is broken by
        assert re.search(rf"{re.escape(importer)} -> {re.escape(imported.split('.')[0])}", report), contract


def test_no_machine_path_and_no_registry_host_stands_in_any_tracked_file() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    # spelled in pieces, so that this file does not find itself
    forbidden = re.compile(
        "|".join(
            [
                "py" + r"pi\.org",
                "pythonhosted" + r"\.org",
                "npmjs" + r"\.(org|com)/",
                "proxy" + r"\.golang\.org",
                "--index" + "-url",
                "/work" + "/main",
                "/root" + "/",
            ]
        )
    )
    found = []
    for name in tracked.split("\0"):
        path = ROOT / name
        if not name or not path.is_file() or path.suffix in (".png", ".js"):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if forbidden.search(line):
                found.append(f"{name}:{number}: {line.strip()[:100]}")
    assert not found
