"""Stub mappings written to a folder and read, for the tests of their reader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from harness.rundir.planned.routes import (
    PlannedAnswer,
    PlannedRoute,
)
from harness.upstreams.routes.routes_read import RoutesRead, UnreadableRoutes
from harness.upstreams.routes.wiremock import read_wiremock

ONE: Final = "one thing in the stub mappings cannot be used"
OK: Final[dict[str, Any]] = {"status": 200}


def write(folder: Path, files: dict[str, Any]) -> Path:
    """Writes files, as JSON unless they are bytes, and returns the folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return folder


def read(tmp_path: Path, stub: Any) -> RoutesRead:
    return read_wiremock(write(tmp_path, {"one.json": stub}) / "one.json")


def route(tmp_path: Path, request: dict[str, Any], response: dict[str, Any] = OK) -> PlannedRoute:
    (only,) = read(tmp_path, {"request": request, "response": response}).routes
    return only


def answer(tmp_path: Path, response: dict[str, Any]) -> PlannedAnswer:
    (only,) = route(tmp_path, {}, response).answers
    return only


def refusal(path: Path) -> str:
    with pytest.raises(UnreadableRoutes) as caught:
        read_wiremock(path)
    assert caught.value.fix
    return caught.value.message


def refused(tmp_path: Path, stub: Any) -> str:
    return refusal(write(tmp_path, {"one.json": stub}) / "one.json")
