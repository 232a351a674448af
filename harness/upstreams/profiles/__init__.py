"""Latency profiles, one per file: fakes draw from them, and a plan's p50 and p99 are computed from them.

A new one needs its file, its line in PROFILES and its keys in `harness.upstreams.profile`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from harness.rundir.planned.routes import PlannedProfile
from harness.rundir.planned.upstream import FakeSpec
from harness.upstreams.profiles.constant import Constant
from harness.upstreams.profiles.empirical import Empirical
from harness.upstreams.profiles.lognormal import Lognormal
from harness.upstreams.profiles.normal import Normal
from harness.upstreams.profiles.pareto import Pareto
from harness.upstreams.profiles.profile import Profile
from harness.upstreams.profiles.uniform import Uniform

__all__ = ["PROFILES", "Lognormal", "Profile", "as_planned", "profile_of"]

PROFILES: Final[tuple[tuple[str, Callable[..., Profile]], ...]] = (
    ("constant", Constant),
    ("uniform", Uniform),
    ("normal", Normal),
    ("lognormal", Lognormal.from_percentiles),
    ("pareto", Pareto),
    ("empirical", Empirical),
)
"""Each takes the numbers that a plan has under their names; a recorded profile takes `points`."""


def profile_of(fake: FakeSpec) -> Profile:
    """The distribution of a fake's latency. Raises ValueError on an impossible profile."""
    if fake.profile is None:
        return Lognormal.from_percentiles(fake.p50_ms, fake.p99_ms)
    return as_planned(fake.profile)


def as_planned(given: PlannedProfile) -> Profile:
    """The distribution of a planned profile. Raises ValueError on an impossible one."""
    for kind, make in PROFILES:
        if kind == given.kind:
            numbers = {"points": given.points} if given.points else given.numbers_ms
            try:
                return make(**numbers)
            except TypeError as exc:
                raise ValueError(f"a {kind} profile is not set by {', '.join(numbers) or 'nothing'}") from exc
    raise ValueError(f"no profile is called `{given.kind}`; known: {', '.join(kind for kind, _ in PROFILES)}")
