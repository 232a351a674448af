"""What keeps the start and the end of tailgate's processes short."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from harness.model.plugins import LOADER

ROOT = Path(__file__).parents[2]


def _run(program: str, *words: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True, timeout=60, cwd=ROOT
    ).stdout


def test_pydantic_still_finds_its_plugins_by_the_module_that_is_left_out() -> None:
    program = f"import importlib; print(list(importlib.import_module({LOADER!r}).get_plugins()))"
    assert _run(program).strip() == "[]"


def test_a_command_validates_without_a_look_for_plugins() -> None:
    program = """
import sys, atexit
atexit.register(lambda: print("importlib.metadata" in sys.modules))
from harness.cli import main
main(["validate", "no-fault"])
"""
    *said, searched = _run(program).splitlines()
    assert said[0].startswith("no-fault: ok")
    assert searched == "False"


def test_a_process_of_the_user_s_code_keeps_plugins() -> None:
    program = (
        "import sys, harness.rundir.plan, scenarios.drive.command;"
        f"stand_in = getattr(sys.modules.get({LOADER!r}), '__spec__', True) is None; print(stand_in)"
    )
    assert _run(program).strip() == "False"


def test_the_fakes_build_no_validator_before_they_can_leave_plugins_out() -> None:
    assert _run(f"import sys, fake_backends.__main__; print({LOADER!r} in sys.modules)").strip() == "False"


def test_a_command_ends_without_a_last_search_for_garbage() -> None:
    program = """
import atexit, gc
atexit.register(lambda: print(gc.get_freeze_count() > 10_000))
from harness.cli import main
main(["validate", "no-fault"])
"""
    assert _run(program).splitlines()[-1] == "True"


def test_a_run_has_no_event_loop_of_its_own_to_import() -> None:
    program = "import sys, harness.run.invocation, harness.cli.display.live; print('asyncio' in sys.modules)"
    assert _run(program).strip() == "False"


def test_the_aggregator_imports_its_client_without_a_command_line() -> None:
    program = """
import sys
from aggregator.__main__ import leave_out_httpx_cli
leave_out_httpx_cli() if "without" in sys.argv else None
import aggregator.backends.transport, httpx
print(*({"rich", "pygments"} & set(sys.modules)), callable(httpx.main))
"""
    assert _run(program, "without").strip() == "True"
    assert "rich" in _run(program), "httpx imports its command line otherwise"
