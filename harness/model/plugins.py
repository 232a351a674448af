"""Lets pydantic build validators without a search for plugins.

With its first validator, pydantic imports `importlib.metadata` (and with it `email` and `zipfile`) and reads the
metadata of every installed package to find plugins. That takes a tenth of `tailgate validate`, and no plugin may watch
tailgate's own models anyway. `PYDANTIC_DISABLE_PLUGINS` would not avoid the import, and the service under test would
inherit it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

LOADER: Final = "pydantic.plugin._loader"
"""pydantic's module that finds plugins. A pydantic that has another one searches as usual, and only takes longer."""


def leave_out_plugins() -> None:
    """Let this process build its validators without plugins; call it before the first one is built. Idempotent.

    For processes that run only tailgate's own code: a locustfile of the user may rely on a plugin.
    """
    if LOADER not in sys.modules:
        loader: Any = ModuleType(LOADER)
        loader.get_plugins = tuple
        sys.modules[LOADER] = loader


@contextmanager
def plugins_left_out() -> Iterator[None]:
    """Within the context validators are built without plugins, and after it with them: for a process that runs our own
    code first and a locustfile of the user later."""
    before = sys.modules.get(LOADER)
    leave_out_plugins()
    try:
        yield
    finally:
        if before is None:
            del sys.modules[LOADER]
