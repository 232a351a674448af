"""A reader that leaves, as in `tailgate validate X | head -1`, changes no exit code, and nobody sees a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from harness.cli import group
from tests.rundir.recording import make_plan, record
from tests.scenario.world import GOOD, changed, write


@pytest.fixture
def without_reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[TextIO]:
    """A stdout whose pipe nobody reads any more."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        yield stream


def _ended(*words: str) -> object:
    with pytest.raises(SystemExit) as ended:
        group.main(list(words))
    sys.stdout.flush()
    return ended.value.code


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_validate_and_its_refusals(
    flags: tuple[str, ...], tmp_path: Path, without_reader: TextIO, capfd: pytest.CaptureFixture[str]
) -> None:
    good = write(tmp_path, GOOD)
    bad = write(tmp_path, changed(("40/s", "40")), "bad.yaml")
    assert _ended("validate", str(good), *flags) == 0
    assert _ended("validate", str(bad), *flags) == 2
    assert _ended("validate", str(tmp_path / "none.yaml"), *flags) == 2
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["run", "--help"], ["schema"], ["schema", "results"], ["init", "INIT"]]
)
def test_the_other_commands(
    words: list[str], tmp_path: Path, without_reader: TextIO, capfd: pytest.CaptureFixture[str]
) -> None:
    assert _ended(*(str(tmp_path / "made.yaml") if word == "INIT" else word for word in words)) == 0
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_verdict_stays_what_it_is(flags: tuple[str, ...], tmp_path: Path, without_reader: TextIO) -> None:
    failed = record(make_plan(gates=("p99 < 1ms during baseline",))).write(tmp_path / "failed")
    assert _ended("judge", str(failed), *flags) == 1


@pytest.mark.parametrize(
    ("closed", "code"), [(">&-", 0), ("2>&-", 0), (">&- 2>&- <&-", 0), ("| head -1", 0), ("> /dev/full", 4)]
)
def test_as_a_shell_sees_it(closed: str, code: int, tmp_path: Path) -> None:
    command = f'"{sys.executable}" -c "from harness.cli import main; main()" validate "$0" {closed}'
    path = write(tmp_path, GOOD)
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command, str(path)], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == code, done.stderr
    wanted = b"error: the output cannot be written: No space left on device\nfix: free some space on its disk\n"
    assert done.stderr == (wanted if code else b"")


def test_a_pipe_of_a_child_that_breaks_is_a_defect_and_no_failed_gate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import click

    @click.command("doctor")
    def broken() -> None:
        raise BrokenPipeError

    monkeypatch.setattr(group._Group, "get_command", lambda *_: broken)
    assert _ended("doctor") == 4
    assert "a defect of tailgate" in capsys.readouterr().err
