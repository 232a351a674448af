"""The built wheel holds all that a run needs: it runs a scenario of the catalog from an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHORT = ("load.warmup=1s", "load.rate=4/s", "load.duration=5s", "load.baseline=1s", "gates=[errors < 50%]")
"""So few a second that a slow machine beside other tests is no news of the service."""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_nothing_but_the_application_is_in_it(unpacked: Path) -> None:
    packages = {path.name for path in unpacked.iterdir() if not path.name.endswith(".dist-info")}
    assert packages == {"harness", "scenarios", "fake_backends", "aggregator", "reports"}
    licences = {path.name for path in unpacked.glob("*.dist-info/licenses/**/*") if path.is_file()}
    assert {"LICENSE", "uplot.LICENSE.txt"} <= licences


def test_what_the_package_says_of_itself_leads_nowhere_that_is_not_installed(unpacked: Path) -> None:
    (metadata,) = unpacked.glob("*.dist-info/METADATA")
    head, _, description = metadata.read_text(encoding="utf-8").partition("\n\n")
    assert "Description-Content-Type: text/markdown" in head
    assert "tailgate toxiproxy install" in description
    assert re.findall(r"\]\((?!https?://)[^)]*\)", description) == []


def test_every_link_of_a_page_leads_to_what_the_folder_of_the_wheel_has() -> None:
    """`make wheel` copies `*.md`, docs and examples; a link to another place would lead nowhere there."""
    recipe = re.search(r"cp -R (.*) dist/tailgate/", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert recipe
    copied = [path for pattern in recipe[1].split() for path in ROOT.glob(pattern)]
    pages = [
        page for path in copied for page in (path.rglob("*.md") if path.is_dir() else [path]) if page.suffix == ".md"
    ]
    assert ROOT / "docs/own-service.md" in pages
    for page in pages:
        for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            target = (page.parent / link).resolve()
            assert "://" in link or any(target == path or path in target.parents for path in copied), (page, link)


def test_alert_rules_and_dashboard_come_with_the_aggregator(unpacked: Path) -> None:
    for name in ("aggregator.rules.yml", "dashboard.json"):
        shipped = unpacked / "aggregator/alerts" / name
        assert shipped.read_bytes() == (ROOT / "aggregator/alerts" / name).read_bytes()


@pytest.mark.stack
@pytest.mark.beside
def test_it_runs_a_catalog_scenario_from_an_empty_folder(
    unpacked: Path, tmp_path: Path, toxiproxy_env: dict[str, str]
) -> None:
    env = {**os.environ, **toxiproxy_env, "PYTHONPATH": str(unpacked)}
    sets = [word for setting in SHORT for word in ("--set", setting)]
    program = "import harness, sys; from harness.cli import main; print(harness.__file__, file=sys.stderr); main()"
    command = [sys.executable, "-P", "-c", program, "run", "no-fault", *sets]
    ran = subprocess.run(command, cwd=tmp_path, env=env, check=False, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert str(unpacked) in ran.stderr
    (report,) = (tmp_path / ".runs").glob("no-fault/*/report.html")
    assert "uPlot" in report.read_text(encoding="utf-8")
