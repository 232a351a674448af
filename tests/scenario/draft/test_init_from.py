"""`tailgate init --from` as a user meets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenario.draft.draft_world import DESCRIPTION, exchange, put, recording
from tests.scenario.test_scenario_cli import tailgate
from tests.scenario.world import GOOD

COMPOSE = """\
services:
  api: {build: ., ports: ["80:80"], environment: {DATABASE_URL: "postgres://app:hunter2@db/app"}}
  db: {image: postgres, ports: ["5432:5432"]}
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DB_PASSWORD", raising=False)


def test_what_to_export_is_said_and_then_it_validates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path, compose__yaml=COMPOSE)
    assert tailgate("init", "--from", "compose.yaml") == 0
    assert capsys.readouterr().out == (
        "scenario.yaml is written; next: export DB_PASSWORD=…, then tailgate validate scenario.yaml\n"
    )
    assert tailgate("validate", "scenario.yaml") == 2
    assert "the environment has no `DB_PASSWORD`" in capsys.readouterr().err
    monkeypatch.setenv("DB_PASSWORD", "hunter2")
    assert tailgate("validate", "scenario.yaml") == 0
    assert "hunter2" not in Path("scenario.yaml").read_text(encoding="utf-8")


def test_several_files_and_a_description_of_the_service(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path, own__yaml=DESCRIPTION, r__har=recording(exchange("https://a.example/")), flights__yaml=DESCRIPTION)
    words = ("--from", "r.har", "--from", "flights.yaml", "--service", "own.yaml")
    assert tailgate("init", "mine.yaml", *words) == 0
    assert "next: tailgate validate mine.yaml, then tailgate run mine.yaml" in capsys.readouterr().out
    assert tailgate("validate", "mine.yaml") == 0


def test_no_file_is_overwritten_unasked_and_no_source_ever(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path, compose__yaml=COMPOSE, mine__yaml="mine")
    assert tailgate("init", "mine.yaml", "--from", "compose.yaml") == 2
    assert "--force" in capsys.readouterr().err
    assert Path("mine.yaml").read_text(encoding="utf-8") == "mine"
    assert tailgate("init", "compose.yaml", "--from", "compose.yaml", "--force") == 2
    assert "is the file that the scenario is made from" in capsys.readouterr().err
    assert Path("compose.yaml").read_text(encoding="utf-8") == COMPOSE
    assert tailgate("init", "mine.yaml", "--from", "compose.yaml", "--force") == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "gone.yaml"], "there is no such file"),
        (["--from", "azure-slo"], "did you mean the catalog's `azure-slow`?"),
        (["--from", "gone.yaml", "--from", "compose.yaml"], "there is no file gone.yaml"),
        (["--from", "good.yaml", "--from", "compose.yaml"], "a scenario is copied alone"),
        (["--from", "azure-slow", "--from", "compose.yaml"], "a scenario is copied alone"),
        (["--from", "compose.yaml", "--service", "apo"], "did you mean `api`?"),
        (["--service", "api"], "there is no compose file that could have such a service"),
        (["--service", "compose.yaml"], "is no OpenAPI description of the service"),
        (["--from", "compose.yaml", "--service", "api", "--service", "db"], "--service has 2 names"),
        (["--from", "broken.yaml"], "broken.yaml:2:"),
    ],
)
def test_what_cannot_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    put(tmp_path, compose__yaml=COMPOSE, good__yaml=GOOD, broken__yaml="services:\n  api: 5\n")
    assert tailgate("init", *words) == 2
    shown = capsys.readouterr()
    assert said in shown.err and "Traceback" not in shown.err
    assert not Path("scenario.yaml").exists()


def test_a_scenario_by_path_is_copied(tmp_path: Path) -> None:
    put(tmp_path, good__yaml=GOOD)
    assert tailgate("init", "mine.yaml", "--from", "good.yaml") == 0
    assert Path("mine.yaml").read_text(encoding="utf-8") == GOOD
