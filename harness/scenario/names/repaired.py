"""A scenario that could not be read whole, and what of it is still the user's; `repair` makes it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from harness.scenario.names.unsure import Unsure
from harness.scenario.schema.scenario import Scenario
from harness.scenario.source.diagnostics import Diagnostic, Path


@dataclass(slots=True)
class Repaired:
    """`times_hold`: windows can be reckoned; `sizes_hold`: so can what answers hold. `more`: found on the way."""

    scenario: Scenario | None = None
    times_hold: bool = True
    sizes_hold: bool = True
    gates_hold: bool = True
    unsure: Unsure = field(default_factory=Unsure)
    doubtful_faults: set[str] = field(default_factory=set)
    """Names of faults that are stood in for."""
    more: list[Diagnostic] = field(default_factory=list)
    aside: set[Path] = field(default_factory=set)
    kept: set[Path] = field(default_factory=set)
    """What within a part that was set aside is still as the user wrote it."""

    def is_users(self, path: Path) -> bool:
        """Whether a finding at this path is about what the user wrote."""
        return self.is_whole(path) or _under(path, self.kept)

    def is_whole(self, path: Path) -> bool:
        """Whether nothing of the part at this path is a stand-in."""
        return not _under(path, self.aside)


def _under(path: Path, prefixes: Collection[Path]) -> bool:
    return any(path[:length] in prefixes for length in range(1, len(path) + 1))
