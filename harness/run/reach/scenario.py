"""Everything that a run of a scenario needs and does not bring itself: Toxiproxy, real servers, programs, the service.

All is tried at once, each with a bound, by the checks that a run makes before its load. Nothing is started. Of the
user's Toxiproxy see `harness.run.reach.toxiproxy`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from harness.run.reach.origins import origin_reach
from harness.run.reach.programs import command_reach, service_reach
from harness.run.reach.reached import Reached
from harness.run.reach.toxiproxy import toxiproxy_reach
from harness.rundir.plan import StackPlan
from harness.rundir.planned.upstream import PlannedUpstream
from harness.scenario.load import dry_plan
from harness.scenario.planner import cells
from harness.stack.threads import in_thread
from harness.target_allowlist import is_loopback

if TYPE_CHECKING:
    from harness.scenario import LoadedScenario
    from harness.scenario.schema.scenario import Scenario

RESOLVE_S: Final = 5.0
WHOLE_S: Final = 30.0
"""For each thing that is tried. The longest takes two connections, a name and an answer, 5 s each."""
_Try = Callable[[], Awaitable[Sequence[Reached]]]


def check_reach(loaded: LoadedScenario, environ: Mapping[str, str], allowed: Sequence[str] = ()) -> list[Reached]:
    """What was found of each thing, those of all cells of a matrix once. `allowed`: hosts outside this machine that may
    be asked, as of --allow-target."""
    return asyncio.run(_all_at_once(list(_tries(loaded, environ, allowed).items())))


async def _all_at_once(tries: Sequence[tuple[tuple[str, ...], _Try]]) -> list[Reached]:
    found = await asyncio.gather(*(_bounded(key[0], of) for key, of in tries))
    return [each for several in found for each in several]


async def _bounded(what: str, of: _Try) -> Sequence[Reached]:
    try:
        async with asyncio.timeout(WHOLE_S):
            return await of()
    except TimeoutError:
        return [Reached(what, "fail", f"nothing was found out within {WHOLE_S:g} s", "is the network up?")]


def _tries(loaded: LoadedScenario, environ: Mapping[str, str], allowed: Sequence[str]) -> dict[tuple[str, ...], _Try]:
    """What to try, by what it is and where. Cells that have the same in common share it."""
    found: dict[tuple[str, ...], _Try] = {}
    for scenario, plan in ((cell.loaded.scenario, dry_plan(cell.loaded.checked)[0].stack) for cell in cells(loaded)):
        found.setdefault(("toxiproxy", scenario.toxiproxy.url or ""), _toxiproxy(scenario, environ))
        service = ("service", plan.service.url, plan.service.cwd, *(plan.service.argv or ()))
        found.setdefault(service, _service(plan, environ, allowed))
        for name, upstream in scenario.upstreams.items():
            planned, what = plan.upstream(name), f"upstream {name}"
            if planned.command is not None:
                found.setdefault((what, planned.command.cwd, *planned.command.argv), _command(planned, environ))
            elif upstream.target is not None:
                from_here = plan.network.is_shared
                found.setdefault((what, upstream.target), _origin(planned, upstream.target, allowed, from_here))
    return found


def _toxiproxy(scenario: Scenario, environ: Mapping[str, str]) -> _Try:
    async def of() -> Sequence[Reached]:
        return await in_thread(lambda: list(toxiproxy_reach(scenario, environ)), WHOLE_S)

    return of


def _service(plan: StackPlan, environ: Mapping[str, str], allowed: Sequence[str]) -> _Try:
    async def of() -> Sequence[Reached]:
        is_foreign = plan.service.kind == "url" and await _foreign("service", plan.service.url, allowed)
        return [is_foreign or await service_reach(plan, environ)]

    return of


def _command(upstream: PlannedUpstream, environ: Mapping[str, str]) -> _Try:
    async def of() -> Sequence[Reached]:
        return [command_reach(upstream, environ)]

    return of


def _origin(upstream: PlannedUpstream, target: str, allowed: Sequence[str], from_here: bool) -> _Try:
    async def of() -> Sequence[Reached]:
        is_foreign = await _foreign(f"upstream {upstream.name}", target, allowed)
        return [is_foreign or await origin_reach(upstream, from_here=from_here)]

    return of


async def _foreign(what: str, url: str, allowed: Sequence[str]) -> Reached | None:
    """The finding of a host outside this machine, which is not asked without consent; None if it may be asked."""
    host = urlsplit(url).hostname or ""
    if host in allowed:
        return None
    try:
        if await in_thread(lambda: is_loopback(host), RESOLVE_S):
            return None
    except TimeoutError:
        return Reached(what, "fail", f"the name {host} was not resolved within {RESOLVE_S:g} s", "is the network up?")
    return Reached(
        what,
        "warn",
        f"{host} is not on this machine, so it was not asked",
        f"if you own that host, add --allow-target {host}; a run needs it too",
    )
