"""The process of a Locust worker: `python -P -m scenarios.drive.locust_worker ARGUMENT…`, with the arguments of Locust.

It runs Locust's own command line. Importing this module imports Locust, which patches the standard library; so nothing
else may import it.
"""

from __future__ import annotations

import functools
import importlib.metadata
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final


@contextmanager
def _metadata_read_once() -> Iterator[None]:
    """Let gevent look for its plugins in one reading of the installed packages' metadata.

    It looks for them before and after it patches each module: two dozen readings, a fifth of Locust's import.
    """
    read: Any = importlib.metadata.entry_points
    once = functools.cache(read)
    importlib.metadata.entry_points = lambda **params: once().select(**params)
    try:
        yield
    finally:
        importlib.metadata.entry_points = read


with _metadata_read_once():
    import locust.main

_IMPORTS: Final = (
    "scenarios.drive.incomplete",
    "scenarios.drive.models.closed_model",
    "scenarios.drive.models.open_model",
    "scenarios.drive.scenario_user",
    "scenarios.drive.user_code.user_code",
    "scenarios.drive.user_code.user_file",
)
"""What `locustfile.py` imports. That file itself builds the worker, so Locust alone may import it."""
for _name in _IMPORTS:
    importlib.import_module(_name)


def prepare() -> None:
    """What can be done before the plan is known. It is done in time otherwise."""
    from harness.model.plugins import plugins_left_out
    from harness.rundir.plan import Plan

    with plugins_left_out():
        Plan.model_rebuild()


def main(argv: Sequence[str]) -> None:
    """Run Locust. Exits as it does."""
    sys.argv = ["locust", *argv]
    run: Callable[[], None] = locust.main.main
    run()


if __name__ == "__main__":
    main(sys.argv[1:])
