"""Fakes for tests, closed when the test is over."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fake_backends.fakes import FaultyFakes, MakeFakes


@pytest.fixture
def make_fakes(tmp_path: Path) -> Iterator[MakeFakes]:
    """`make_fakes(*faults, upstreams=…)`, once a test."""
    with contextlib.ExitStack() as stack:

        def make(*faults: Any, **options: Any) -> FaultyFakes:
            return stack.enter_context(contextlib.closing(FaultyFakes(tmp_path, *faults, **options)))

        yield make
