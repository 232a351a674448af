"""What a request must have besides method and path. Regular expressions are bounded in time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from fake_backends.providers.exchange import IncomingRequest
from harness.rundir.planned.routes import ConditionPlace, PlannedCondition
from harness.upstreams.routes.patterns import compile_pattern

REGEX_WITHIN_S: Final = 0.02
"""A regular expression that takes longer does not match, so that one bad pattern cannot stop the other fakes."""


@dataclass(frozen=True, slots=True)
class Condition:
    place: ConditionPlace
    name: str
    wanted: bool
    """Whether a value must be there at all."""
    test: Callable[[str], bool]

    @classmethod
    def of(cls, planned: PlannedCondition) -> Self:
        """Raises ValueError if its regular expression is not valid."""
        name = planned.name.lower() if planned.place == "header" else planned.name
        return cls(planned.place, name, planned.test != "absent", _test(planned))

    def holds(self, request: IncomingRequest) -> bool:
        values = self._values(request)
        if not self.wanted:
            return not values
        return any(self.test(value) for value in values)

    def _values(self, request: IncomingRequest) -> list[str]:
        if self.place == "url":
            query = request.query.decode("latin-1")
            return [f"{request.raw_path or request.path}?{query}" if query else request.raw_path or request.path]
        if self.place == "path":
            return [request.raw_path or request.path]
        if self.place == "query":
            return [value for name, value in request.pairs if name == self.name]
        sought = self.name.encode("latin-1", "replace")
        return [value.decode("latin-1") for name, value in request.headers if name == sought]


def _test(planned: PlannedCondition) -> Callable[[str], bool]:
    value = planned.value
    if planned.test == "matches":
        return _matches(value, ignores_case=planned.ignores_case)
    if planned.test == "contains":
        return lambda found: value in found
    if planned.test == "equals":
        if planned.ignores_case:
            folded = value.casefold()
            return lambda found: found.casefold() == folded
        return lambda found: found == value
    return lambda _found: True


def _matches(pattern: str, *, ignores_case: bool) -> Callable[[str], bool]:
    compiled = compile_pattern(f"(?i){pattern}" if ignores_case else pattern)

    def whole(found: str) -> bool:
        try:
            return compiled.fullmatch(found, timeout=REGEX_WITHIN_S) is not None
        except TimeoutError:
            return False

    return whole
