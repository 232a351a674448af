"""`tailgate` as a bench calls it: the command of this environment, ended properly or the bench ends with its stderr."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

TAILGATE: Final = str(Path(sys.executable).with_name("tailgate"))
JUDGED: Final = (0, 1, 3)
"""Exit codes of a run that ended with a verdict: PASS, FAIL, INCONCLUSIVE."""
CANNOT_MEASURE: Final = 2


def run_tailgate(words: Sequence[str], *, codes: Collection[int] = (0,), timeout_s: float = 60.0) -> str:
    """Its standard output. Raises SystemExit(2), with its standard error on ours, where it exits with another code."""
    return run_command([TAILGATE, *words], codes=codes, timeout_s=timeout_s)


def run_command(argv: Sequence[str], *, codes: Collection[int] = (0,), timeout_s: float = 60.0) -> str:
    """As `run_tailgate`, of any command."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout_s, check=False)
    if done.returncode not in codes:
        said = done.stderr.strip() or done.stdout.strip() or "(it printed nothing)"
        print(f"error: `{shlex.join(argv)}` exited with {done.returncode}:\n{said}", file=sys.stderr)
        raise SystemExit(CANNOT_MEASURE)
    return done.stdout
