"""`tailgate` as a bench calls it: the command of this environment, ended properly or the bench ends with its stderr."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

TAILGATE: Final = str(Path(sys.executable).with_name("tailgate"))
JUDGED: Final = (0, 1, 3)
"""Exit codes of a run that ended with a verdict: PASS, FAIL, INCONCLUSIVE."""
RIG_FAILED: Final = 4
CANNOT_MEASURE: Final = 2


def run_tailgate(words: Sequence[str], *, codes: Collection[int] = (0,), timeout_s: float = 60.0) -> str:
    """Its standard output. Raises SystemExit(2), with its standard error on ours, where it exits with another code."""
    return run_command([TAILGATE, *words], codes=codes, timeout_s=timeout_s)


def run_command(argv: Sequence[str], *, codes: Collection[int] = (0,), timeout_s: float = 60.0) -> str:
    """As `run_tailgate`, of any command."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout_s, check=False)
    if done.returncode not in codes:
        said = "\n".join(filter(None, (done.stderr.strip(), done.stdout.strip(), _reason(done.stdout))))
        said = said or "(it printed nothing)"
        print(f"error: `{shlex.join(argv)}` exited with {done.returncode}:\n{said}", file=sys.stderr)
        raise SystemExit(CANNOT_MEASURE)
    return done.stdout


def run_codes(*, short: bool) -> tuple[int, ...]:
    """Of a run that can be measured. On a busy machine the load generator is late, which no short form is about."""
    return (*JUDGED, RIG_FAILED) if short else JUDGED


def _reason(stdout: str) -> str:
    """Why a quiet run ended as it did: its last word is its directory, which a bench removes. Empty where none is."""
    results = Path(stdout.rsplit(maxsplit=1)[-1] if stdout.strip() else "", "results.json")
    try:
        return str(json.loads(results.read_text(encoding="utf-8"))["reason"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
