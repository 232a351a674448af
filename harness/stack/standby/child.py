"""A process on standby: it imports a module, and runs it as soon as it is told with which arguments.

    python -P -m harness.stack.standby.child MODULE

The module has `prepare()`, which does what needs no arguments, and `main(argv)`. The order is a line of JSON on stdin.
What runs then is what `python -P -m MODULE ARGUMENT…` would run. The end of stdin without an order ends the process.
This module imports nothing but the standard library.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import sys
from types import ModuleType
from typing import Any


def main() -> None:
    module = _import(sys.argv[1])
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):  # the supervisor is gone, or needs no such process
        os._exit(0)
    order = json.loads(line)
    _move_in(order)
    sys.argv = [str(module.__file__), *order["args"]]
    sys.exit(module.main(order["args"]))


def _import(name: str) -> ModuleType:
    """The module, prepared; of a package its `__main__`, as `python -m` takes it."""
    gc.disable()  # what is imported stays, so a search for garbage in it finds nothing
    module = importlib.import_module(name)
    if hasattr(module, "__path__"):
        module = importlib.import_module(f"{name}.__main__")
    module.prepare()
    gc.freeze()
    gc.enable()
    return module


def _move_in(order: dict[str, Any]) -> None:
    """Take the folder, the log and the limits of the order's `ProcessSpec`."""
    os.chdir(order["cwd"])
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(log)
    os.close(nothing)
    if order["raise_limits"]:
        raise_open_files()


def raise_open_files() -> None:
    """Raise our soft limit of open files to the hard limit. If the system refuses, nothing changes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        return  # macOS refuses "unlimited" above kern.maxfilesperproc


if __name__ == "__main__":
    main()
