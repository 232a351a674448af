"""A user's own locustfile: finds its user classes as Locust does, and notes what is ignored in it.

tailgate's own packages are imported before it, so a folder beside it with the name of one does not hide that.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from locust import LoadTestShape, User
from locust.user.task import filter_tasks_by_tags
from locust.util.load_locustfile import load_locustfile

from harness.errors import RigError
from scenarios.drive.user_code.watcher import LocustfileWatcher


def load_user_classes(path: Path, watcher: LocustfileWatcher, *, arrivals_are_planned: bool) -> tuple[type[User], ...]:
    """Its non-abstract user classes, sorted by name. Exceptions of the file's import are passed on.

    Raises RigError for a file that cannot be used.
    """
    classes, shapes = find_user_classes(path)
    for shape in shapes:
        what = "arrivals are planned" if arrivals_are_planned else "`load.users` says how many users there are"
        watcher.note("ignored", f"shape {type(shape).__name__} is ignored: {what}")
    if arrivals_are_planned:
        for user_class in classes:
            _note_ignored(user_class, watcher)
    return classes


def find_user_classes(path: Path) -> tuple[tuple[type[User], ...], Sequence[LoadTestShape]]:
    """The same classes, and the shapes; nothing is noted. Raises as `load_user_classes` does."""
    sys.path.insert(0, str(path.parent))  # for good, since tasks may import later
    found, shapes = load_locustfile(str(path))
    classes = tuple(found[name] for name in sorted(found))
    if not classes:
        raise RigError(f"{path.name} has no user class that is not abstract")
    for user_class in classes:
        if not user_class.tasks:
            raise RigError(f"{user_class.__name__} in {path.name} has no tasks")
    return classes, shapes


def keep_tagged(classes: tuple[type[User], ...], options: Namespace) -> None:
    """Keeps the tasks that `--tags` and `--exclude-tags` select, as Locust does for the classes that it knows.

    Raises RigError if a class has none left.
    """
    tags = set(options.tags) if getattr(options, "tags", None) else None
    excluded = set(options.exclude_tags) if getattr(options, "exclude_tags", None) else None
    if tags is None and excluded is None:
        return
    for user_class in classes:
        filter_tasks_by_tags(user_class, tags, excluded)
        if not user_class.tasks:
            raise RigError(f"`load.locust_options` leaves {user_class.__name__} without a task")


def _note_ignored(user_class: type[User], watcher: LocustfileWatcher) -> None:
    name = user_class.__name__
    if user_class.wait_time is not User.wait_time or user_class.wait_function or user_class.min_wait:
        watcher.note("ignored", f"wait_time of {name} is ignored between tasks: arrivals are planned")
    if user_class.fixed_count:
        watcher.note("ignored", f"fixed_count of {name} is ignored: classes are drawn by weight")
