"""What tests of gates need: one gate judged against a made-up run."""

from __future__ import annotations

from pathlib import Path

from harness.evidence import Evidence, Pool
from harness.gates import Finding
from harness.gates.parse import parse_gate
from tests.rundir.recording import Recording


def found(text: str, made: Recording, folder: Path, *, alpha_fail: float = 0.05) -> Finding:
    """What the gate finds in the run."""
    return parse_gate(text).judge(Pool.of(Evidence.load(made.write(folder))), alpha_fail=alpha_fail)
