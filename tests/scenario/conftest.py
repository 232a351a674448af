"""The programs that scenarios of these tests name as their service: a command must be there to be valid."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

PROGRAMS = ("a", "app", "serve")


@pytest.fixture(scope="session", autouse=True)
def programs_on_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("programs")
    for name in PROGRAMS:
        (folder / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", os.pathsep.join([os.environ.get("PATH", os.defpath), str(folder)]))
        yield
