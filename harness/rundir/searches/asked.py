"""search.json: what a search was asked, so that nobody goes on with it who asks something else."""

from __future__ import annotations

from pathlib import Path

from harness.model.frozen import Frozen
from harness.rundir.results import canonical_json

FILE = "search.json"
"""Its name, in the directory of the search."""


class AskedSearch(Frozen):
    """What decides how the loads of a search are sent and judged.

    `scenario`: SHA-256 of its plan with all overrides; `files`: of the files that the load reads, by their use.
    `settings`: lengths in ms, rates in 1/s, shares.
    """

    rules: int = 1
    """Of the choice of levels: loads that were chosen by other rules are not those that would be chosen now."""
    command: str
    scenario: str
    files: dict[str, str]
    settings: dict[str, float | str | None]

    def write(self, folder: Path) -> None:
        """Raises OSError."""
        (folder / FILE).write_text(canonical_json(self), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> AskedSearch:
        """Raises OSError if there is none, ValueError if it is damaged."""
        return cls.model_validate_json((folder / FILE).read_bytes())
