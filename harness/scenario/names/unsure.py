"""What could not be read, and so may be right: names of faults and upstreams, and whether the service knows its port.

A check that looks for a name asks here first, or it would report what follows from another mistake.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Unsure:
    fault_prefixes: set[str] = field(default_factory=set)
    """How the names of faults may begin; an empty one is the beginning of all."""
    fault_endings: set[str] = field(default_factory=set)
    """How they may end: named after an upstream that is none."""
    upstreams: set[str] = field(default_factory=set)
    any_upstream: bool = False
    port: bool = False
    """Whether something that tells the service its port may have been meant."""

    def fault(self, name: str) -> bool:
        return name.startswith(tuple(self.fault_prefixes)) or name.endswith(tuple(self.fault_endings))

    def upstream(self, name: str) -> bool:
        return self.any_upstream or name in self.upstreams

    @property
    def any_fault(self) -> bool:
        """Whether there may be a fault of which nothing is known."""
        return "" in self.fault_prefixes
