"""The example that readers copy: its scenario validates, finds the missing timeout, and passes the service that has it.

`make test` breaks the hotels alone for the version without the timeout, and everything at once for the other. The
scenario as it is, with both versions and one fault after the other, is nightly.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ruamel.yaml import YAML

from tests.protocols import servers
from tests.run.real_runs import TAILGATE, Ran, Running, assert_failed, run

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "trip-quote"
SHORT = "load.warmup=1s", "load.baseline=2s", "load.recovery=1s", "matrix=null"
HOTELS_SLOW = "{name: hotels-slow, upstream: hotels, latency: 60s, at: 4s, for: 8s}"
AT_ONCE = (
    HOTELS_SLOW,
    "{name: flights-fail, upstream: flights, status: 503, share: 30%, at: 4s, for: 8s}",
    "{name: db-slow, upstream: db, latency: 2s, at: 4s, for: 11s}",
    "{name: cache-down, upstream: cache, down: true, at: 4s, for: 8s}",
)
GATES = "p90 < 1500ms during hotels-slow", "errors < 10% during hotels-slow", "complete > 90% during hotels-slow"


def words(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def env() -> dict[str, str]:
    """The service's program is that of these tests' own environment."""
    return {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The example as a reader has it: a copy outside of the repository."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "trip-quote"))


def scenario(folder: Path) -> str:
    return (folder / "scenario.yaml").read_text(encoding="utf-8")


# ---------------------------------------------------------------- without processes


def validate(folder: Path, *settings: str) -> subprocess.CompletedProcess[str]:
    full = {**os.environ, **env()}
    full.pop("DB_PASSWORD", None)
    argv = [TAILGATE, "validate", "scenario.yaml", *words(*settings)]
    return subprocess.run(argv, cwd=folder, env=full, capture_output=True, text=True, timeout=60, check=False)


def test_it_validates_without_a_warning_and_takes_about_two_minutes(folder: Path) -> None:
    done = validate(folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    found = re.match(r"trip quote: ok, 2 cells, about (?:(\d+)m )?([\d.]+) ?s ", done.stdout)
    assert found and 60 * int(found[1] or 0) + float(found[2]) <= 125, done.stdout
    assert "cell off, expected fail" in done.stdout


def test_no_field_of_the_recording_is_a_secret_and_no_password_is_in_the_scenario(folder: Path) -> None:
    for entry in json.loads((folder / "hotels.har").read_bytes())["log"]["entries"]:
        names = {header["name"] for side in ("request", "response") for header in entry[side]["headers"]}
        assert names <= {"Accept", "Content-Type"}
        assert entry["request"]["cookies"] == entry["response"]["cookies"] == []
    (password,) = re.findall(r"//\w+:([^@]+)@", scenario(folder))
    assert password == "${DB_PASSWORD:-quote}"


def test_the_job_brings_what_the_scenario_needs(folder: Path) -> None:
    """Its services listen where the scenario's upstreams are, and each file that it names is there."""
    load = YAML(typ="safe").load
    job = load(folder / "ci.yaml")["jobs"]["tailgate"]
    upstreams = load(folder / "scenario.yaml")["upstreams"]
    ports = [port.partition(":")[0] for service in job["services"].values() for port in service["ports"]]
    assert sorted(ports) == sorted(re.findall(r"127\.0\.0\.1:(\d+)", upstreams["db"] + upstreams["cache"]))
    given = job["services"]["postgres"]["env"]
    assert f"//{given['POSTGRES_USER']}:" in upstreams["db"] and upstreams["db"].endswith(f"/{given['POSTGRES_DB']}")
    assert given["POSTGRES_PASSWORD"] == job["env"]["DB_PASSWORD"]
    named = {word for step in job["steps"] for word in step.get("run", "").split() if re.fullmatch(r"\w+\.\w+", word)}
    assert named == {"requirements.txt", "schema.sql", "scenario.yaml"}
    assert all((folder / name).exists() for name in named)


def test_every_requirement_has_a_hash_and_is_the_one_that_the_tests_use(folder: Path) -> None:
    pinned = re.findall(r"^([\w-]+)==(\S+)", (folder / "requirements.txt").read_text(), re.MULTILINE)
    tested = (ROOT / "requirements/dev.txt").read_text()
    wanted = re.findall(r"^[a-z][\w-]*", (folder / "requirements.in").read_text(), re.MULTILINE)
    assert set(wanted) <= {name for name, _ in pinned}
    for name, version in pinned:
        assert re.search(rf"^{name}==", tested, re.MULTILINE) is None or f"\n{name}=={version} " in f"\n{tested}", name
    for block in re.split(r"^(?=[\w-]+==)", (folder / "requirements.txt").read_text(), flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in block, block


# ---------------------------------------------------------------- whole runs


@pytest.fixture(scope="module")
def addresses() -> Iterator[list[str]]:
    """Settings that lead to a PostgreSQL with the example's table and to a Redis, both of this module's own."""
    with servers.postgres() as (postgres, _), servers.redis() as redis:
        with psycopg.connect(f"postgres://owner:s3cret@127.0.0.1:{postgres}/postgres") as connection:
            connection.execute((EXAMPLE / "schema.sql").read_bytes())
        db = f"upstreams.db=postgres://owner:${{DB_PASSWORD}}@127.0.0.1:{postgres}/postgres"
        yield words(db, f"upstreams.cache=redis://127.0.0.1:{redis}/0")


def short_run(folder: Path, addresses: list[str], toxiproxy_env: dict[str, str], *settings: str) -> Ran:
    path = os.pathsep.join([env()["PATH"], toxiproxy_env["PATH"]])
    given = {**toxiproxy_env, "PATH": path, "DB_PASSWORD": "s3cret"}
    return run(folder, scenario(folder), *addresses, *words(*SHORT, *settings), env=given)


def verdicts(results: dict[str, Any]) -> dict[str, str]:
    return {gate["text"]: gate["verdict"] for gate in results["gates"]}


@pytest.mark.stack
@pytest.mark.beside
def test_without_the_timeout_callers_get_504s_while_the_hotels_are_slow(
    folder: Path, addresses: list[str], toxiproxy_env: dict[str, str]
) -> None:
    settings = f"faults=[{HOTELS_SLOW}]", f"gates=[{', '.join(GATES)}]", "service.env.TIMEOUTS='off'"
    ran = short_run(folder, addresses, toxiproxy_env, *settings)
    assert_failed(ran)
    assert_for_the_right_reason(ran.results)


def assert_for_the_right_reason(results: dict[str, Any]) -> None:
    """The hotels were slow, the service called them, and the gateway gave up on the quotes: on nearly every one."""
    (fault,) = [fault for fault in results["faults"] if fault["name"] == "hotels-slow"]
    assert fault["landed"]
    gates = {gate["text"]: gate for gate in results["gates"]}
    for text in GATES:
        assert gates[text]["verdict"] == "fail", text
    errors = gates["errors < 10% during hotels-slow"]
    assert errors["exceeded_by"][0]["outcome"] == "gateway_timeout"
    assert errors["exceeded_by"][0]["n"] > 0.8 * errors["n"]
    assert not errors["as_before"]


@pytest.mark.stack
@pytest.mark.beside
def test_with_the_timeout_callers_get_what_is_left_though_everything_is_broken_at_once(
    folder: Path, addresses: list[str], toxiproxy_env: dict[str, str]
) -> None:
    ran = short_run(folder, addresses, toxiproxy_env, f"faults=[{', '.join(AT_ONCE)}]", f"gates=[{', '.join(GATES)}]")
    assert (ran.code, ran.verdict) == (0, "PASS"), ran.stdout + ran.stderr
    landed = {fault["name"]: fault["landed"] for fault in ran.results["faults"]}
    assert landed == dict.fromkeys(("hotels-slow", "flights-fail", "db-slow", "cache-down"), True)
    assert {verdicts(ran.results)[text] for text in GATES} == {"pass"}
    assert ran.results["unmatched"] == []  # the fakes know every call of the service
    assert ran.results["correlation"]["joined_share"] > 0.9
    assert ran.run_dir is not None
    for path in ran.run_dir.rglob("*"):
        assert not path.is_file() or b"s3cret" not in path.read_bytes(), path


@pytest.mark.stack
@pytest.mark.nightly
def test_the_scenario_as_it_is_ends_as_its_matrix_expects(
    folder: Path, addresses: list[str], toxiproxy_env: dict[str, str]
) -> None:
    given = {"PATH": os.pathsep.join([env()["PATH"], toxiproxy_env["PATH"]]), "DB_PASSWORD": "s3cret"}
    ran = Running(folder, scenario(folder), *addresses, env=given).end(within_s=240)
    assert ran.code == 0, ran.stdout + ran.stderr
    cells = {path.parent.name: json.loads(path.read_bytes()) for path in folder.glob(".runs/*/*/*/results.json")}
    assert {name: cell["verdict"] for name, cell in cells.items()} == {"off": "fail", "on": "pass"}
    assert_for_the_right_reason(cells["off"])
    # the one missing timeout is all that is wrong: every other fault is withstood by both
    others = {text: verdict for text, verdict in verdicts(cells["off"]).items() if text not in GATES}
    assert len(others) >= 5 and set(others.values()) == {"pass"}
    assert all(fault["landed"] for cell in cells.values() for fault in cell["faults"])
