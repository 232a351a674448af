"""A mistake that a judge could make, and how it is seen to change a verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness import verdict
from harness.evidence import Evidence
from tests.rundir.recording import Recording

Make = Callable[[], Recording]
Patch = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True)
class Mutant:
    mistake: str
    make: Make
    patch: Patch
    right: str
    wrong: str

    def changes_a_verdict(self, run_dir: Path) -> None:
        """Asserts that the run is judged right, and wrong once the mistake is made."""
        self.make().write(run_dir)
        assert verdict.judge(Evidence.load(run_dir)).verdict == self.right
        with pytest.MonkeyPatch.context() as patch:
            self.patch(patch)
            assert verdict.judge(Evidence.load(run_dir)).verdict == self.wrong


def swap(target: str, value: Any) -> Patch:
    return lambda patch: patch.setattr(target, value)


def swap_latency(latency_ns: Callable[[Evidence], Any]) -> Patch:
    return lambda patch: patch.setattr(Evidence, "latency_ns", property(latency_ns))
