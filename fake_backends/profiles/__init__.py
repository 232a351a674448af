"""Latency profiles, one a file. A new one is its file, its line in PROFILES and its spelling in harness.upstreams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fake_backends.profiles.constant import Constant
from fake_backends.profiles.empirical import Empirical
from fake_backends.profiles.lognormal import Lognormal
from fake_backends.profiles.normal import Normal
from fake_backends.profiles.pareto import Pareto
from fake_backends.profiles.profile import Profile
from fake_backends.profiles.uniform import Uniform
from harness.rundir.plan import PlannedUpstream

__all__ = ["PROFILES", "Lognormal", "Profile", "profile_of"]

PROFILES: Final[tuple[tuple[str, Callable[..., Profile]], ...]] = (
    ("constant", Constant),
    ("uniform", Uniform),
    ("normal", Normal),
    ("lognormal", Lognormal.from_percentiles),
    ("pareto", Pareto),
    ("empirical", Empirical),
)
"""Each takes the numbers that a plan holds under their names; one that is recorded, `points`."""


def profile_of(planned: PlannedUpstream) -> Profile:
    """How long this upstream's answers take. Raises ValueError on an impossible one."""
    if planned.profile is None:
        return Lognormal.from_percentiles(planned.p50_ms, planned.p99_ms)
    given = planned.profile
    for kind, make in PROFILES:
        if kind == given.kind:
            numbers = {"points": given.points} if given.points else given.numbers_ms
            try:
                return make(**numbers)
            except TypeError as exc:
                raise ValueError(f"a {kind} profile is not set by {', '.join(numbers) or 'nothing'}") from exc
    raise ValueError(f"no profile is called `{given.kind}`; known: {', '.join(kind for kind, _ in PROFILES)}")
