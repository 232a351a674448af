"""A user's own locustfile: finds its user classes as Locust does, and warns of what is ignored in it.

tailgate's own packages are imported before it. A folder with a package of the same name is refused, since the
locustfile could import the wrong one.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from locust import User
from locust.util.load_locustfile import load_locustfile

from harness.errors import RigError

OUR_PACKAGES = ("aggregator", "fake_backends", "harness", "reports", "scenarios")

log = logging.getLogger("tailgate.worker")


def load_user_classes(path: Path, *, arrivals_are_planned: bool) -> tuple[type[User], ...]:
    """Its non-abstract user classes, sorted by name. Exceptions of the file's import are passed on.

    Raises RigError for a file that cannot be used.
    """
    for name in OUR_PACKAGES:
        if (path.parent / name).is_dir() or (path.parent / f"{name}.py").is_file():
            raise RigError(
                f"{path.parent} has a `{name}`, which is also a package of tailgate; move {path.name} elsewhere"
            )
    sys.path.insert(0, str(path.parent))  # for good, since tasks may import later
    found, shapes = load_locustfile(str(path))
    classes = tuple(found[name] for name in sorted(found))
    if not classes:
        raise RigError(f"{path.name} has no user class that is not abstract")
    for user_class in classes:
        if not user_class.tasks:
            raise RigError(f"{user_class.__name__} in {path.name} has no tasks")
    if shapes:
        log.warning("%s: its load shape is ignored, the scenario says when requests are sent", path.name)
    if arrivals_are_planned:
        for user_class in classes:
            if user_class.wait_time is not User.wait_time or user_class.wait_function or user_class.min_wait:
                log.warning("%s: its wait_time is ignored, the plan sets the arrival times", user_class.__name__)
            if user_class.fixed_count:
                log.warning("%s: its fixed_count is ignored, classes are drawn by weight", user_class.__name__)
    return classes
