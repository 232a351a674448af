"""The documents tell the truth: their scenarios validate, their links lead somewhere, their commands exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from harness.cli.group import COMMANDS, _tailgate
from harness.scenario import catalog_names, load_scenario

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for number, (kind, text) in enumerate(FENCE.findall(page.read_text(encoding="utf-8"))):
            if kind == language:
                yield f"{page.relative_to(ROOT)}#{number}", text


SCENARIOS = [(where, text) for where, text in blocks("yaml") if re.search(r"^name:", text, re.M) and "service:" in text]


@pytest.mark.parametrize(("where", "text"), SCENARIOS, ids=[where for where, _ in SCENARIOS])
def test_a_whole_scenario_validates(where: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(text, encoding="utf-8")
    assert load_scenario(path).cells


def test_there_are_scenarios_to_validate() -> None:
    assert len(SCENARIOS) >= 3


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not re.match(r"\w+:", target):
            assert (page.parent / target).exists(), target


def test_every_command_and_flag_exists() -> None:
    context = click.Context(_tailgate)
    seen = set()
    for where, text in (*blocks(""), *blocks("sh"), *blocks("yaml")):
        for line in re.findall(r"(?:^|run: )tailgate ([^#|\n]*)", text, re.MULTILINE):
            words = line.split()
            assert words[0] in COMMANDS, (where, line)
            command = _tailgate.get_command(context, words[0])
            if isinstance(command, click.Group):
                command = command.get_command(context, words[1])
            assert command is not None, (where, line)
            flags = {flag for parameter in command.params for flag in parameter.opts}
            assert {word.partition("=")[0] for word in words if word.startswith("--")} <= flags, (where, line)
            seen.add(words[0])
    assert seen >= {"run", "validate", "judge", "doctor", "toxiproxy"}


def test_the_catalog_is_in_the_readme_and_validates() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in catalog_names():
        assert f"| `{name}` |" in readme, name
        assert load_scenario(name).scenario.name == name


def test_lines_fit_a_terminal() -> None:
    for page in PAGES:
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
            if not line.startswith(("|", "!", "  ", "    ")):
                assert len(line) <= 120, f"{page.name}:{number}"
