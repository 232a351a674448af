"""Files that a scenario is drafted from, and what comes of them: the tree of the scenario, its text, its problems."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ScenarioError, UsageError
from harness.model.tree import Source, plain
from harness.model.yaml_parser import parse
from harness.scenario import load_scenario
from harness.scenario.draft import Draft, draft_sources, drafted, scenario_text

DESCRIPTION = """\
openapi: 3.0.3
info: {title: Flights of the World, version: "1"}
servers: [{url: https://api.flights.example/v2}]
paths:
  /search:
    get:
      parameters:
        - {name: to, in: query, required: true, schema: {type: string}, example: "M{U}C & more"}
        - {name: page, in: query, schema: {type: integer}}
      responses: {"200": {description: ok, content: {application/json: {example: {fare: 1}}}}}
    post:
      responses: {"201": {description: made}}
  /airports/{code}:
    parameters: [{name: code, in: path, required: true, schema: {type: string, enum: [MUC]}}]
    get:
      parameters: [{name: X-Tenant, in: header, required: true, schema: {type: string}, example: acme}]
      responses: {"200": {description: ok}}
"""
PROXIES = """\
[
  {"name": "legacy_api", "listen": "[::]:18080", "upstream": "legacy.example:8080", "enabled": true},
  {"name": "main", "listen": "[::]:13306", "upstream": "database.example:3306", "enabled": false}
]
"""


def put(folder: Path, **files: str) -> list[Path]:
    """Writes the files; `__` in a name stands for a dot."""
    paths = [folder / name.replace("__", ".") for name in files]
    for path, text in zip(paths, files.values(), strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


def exchange(url: str, text: str | None = "{}", *, status: int = 200, method: str = "GET") -> dict[str, Any]:
    """One entry of a HAR recording."""
    content = {"size": 2, "mimeType": "application/json"} | ({} if text is None else {"text": text})
    return {
        "request": {
            "method": method,
            "url": url,
            "headers": [{"name": "Authorization", "value": "Bearer s3cr3tT0ken"}],
        },
        "response": {"status": status, "headers": [], "content": content},
        "timings": {"wait": 12, "receive": 1},
    }


def recording(*entries: dict[str, Any]) -> str:
    return json.dumps({"log": {"version": "1.2", "entries": list(entries)}})


def draft(files: Iterable[Path], *service: str, folder: Path, environ: Mapping[str, str] | None = None) -> Draft:
    return drafted(draft_sources(list(files), service), folder, environ or {})


def refused(files: Iterable[Path], *service: str, folder: Path) -> str:
    """Message and fix of the error, or each problem with its line."""
    with pytest.raises((UsageError, ScenarioError)) as caught:
        draft(files, *service, folder=folder)
    if isinstance(caught.value, ScenarioError):
        assert "nothing was written" in caught.value.message
        return "\n".join(f"{p.line}: {p.path}: {p.message} | {p.fix}" for p in caught.value.problems)
    return f"{caught.value.message} | {caught.value.fix}"


def tree_of(made: Draft) -> dict[str, Any]:
    """The scenario as it is read again, which must find no structural problem."""
    text = scenario_text(made)
    node, problems = parse(text, Source("made.yaml", Path(), tuple(text.split("\n"))))
    assert not problems and node is not None, (problems, text)
    assert max(map(len, text.split("\n"))) <= 400
    found: dict[str, Any] = plain(node)
    return found


def comments_of(made: Draft) -> str:
    """All comments as one text, without line breaks."""
    lines = [line.strip() for line in scenario_text(made).split("\n")]
    return re.sub(r"\s+", " ", " ".join(line.removeprefix("#") for line in lines if line.startswith("#")))


def problems_of(made: Draft, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What `tailgate validate` finds, with the variables set that the scenario says to export."""
    for name in made.exports:
        monkeypatch.setenv(name, "long-enough-value")
    path = folder / "made.yaml"
    path.write_text(scenario_text(made), encoding="utf-8")
    try:
        load_scenario(path)
    except ScenarioError as exc:
        return [f"{problem.path}: {problem.message} | {problem.fix}" for problem in exc.problems]
    return []
