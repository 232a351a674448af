"""What must be done to a proxy that is not ours so that nothing of a run is left on it, and what others did meanwhile.

Pure: it compares what the proxy was with what it is, and returns the steps in their order. Only what the run did is
undone. What others changed stands, and is named, never corrected.

    enabled ── our toxics hold answers back ──▶ disable ─▶ wait ─▶ relax and remove our toxics ─▶ enable
    enabled ── they hold nothing back ────────▶ remove our toxics
    disabled by us ───────────────────────────▶ remove our toxics ─▶ enable, unless a fault still keeps it down
    disabled by others ───────────────────────▶ remove our toxics
    gone ─────────────────────────────────────▶ nothing
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote

from harness.rundir.toxics import TOXICS
from harness.toxiproxy.state import Proxy, Toxic

DISABLED_MARK: Final = "off"
"""The end of the name of a toxic without effect that is on a proxy while a fault of a run keeps it disabled: so the
server itself knows whose doing that is, even after everything else of the run was killed."""


_RELAXED: Final = {
    "latency": {"latency": 0, "jitter": 0},
    "slow_close": {"delay": 0},
    "slicer": {"delay": 0},
}
"""By type: attributes with which a toxic lets everything pass that it holds back. Never the rate of a bandwidth toxic:
Toxiproxy 2.12 reads it twice for each piece, and ends with a panic if it was raised in between."""


def is_mark(toxic: str, prefix: str) -> bool:
    """Whether a toxic of this name says that the run of `prefix` has disabled the proxy."""
    return toxic.startswith(prefix) and toxic.endswith(f".{DISABLED_MARK}")


@dataclass(frozen=True, slots=True)
class Step:
    """One call to the server, or a `wait` until links that pass pieces on have failed. `toxic` is set for `relax` and
    `remove`.

    `relax`: the toxic gets `attributes` with which it holds nothing back any more.
    """

    do: Literal["disable", "wait", "relax", "remove", "enable"]
    toxic: str = ""
    attributes: tuple[tuple[str, int], ...] = ()


def steps_back(now: Proxy | None, prefix: str, *, disabled_by_us: bool, stays_down: bool = False) -> tuple[Step, ...]:
    """How everything whose name begins with `prefix` is taken off the proxy.

    `disabled_by_us`: the run has disabled it and not enabled it again. `stays_down`: another fault of the run keeps it
    disabled. A toxic that may hold answers back is removed only while the proxy is disabled, because Toxiproxy 2.12 may
    lock up otherwise; and it is relaxed first, because its removal waits 5 s for each piece of an answer whose caller
    has hung up. One that lets an answer pass piece by piece is waited for instead: the next piece finds the connection
    closed, and the link ends.
    """
    if now is None:
        return ()
    own = [toxic for toxic in now.toxics if toxic.name.startswith(prefix)]
    closes = now.enabled and any(holds_back(toxic) for toxic in own)
    steps = [Step("disable")] if closes else []
    if any(_trickles(toxic) for toxic in own):
        steps.append(Step("wait"))
    steps += [Step("relax", each.name, tuple(_RELAXED[each.type].items())) for each in own if each.type in _RELAXED]
    steps += [Step("remove", toxic.name) for toxic in own]
    if not stays_down and (closes or (disabled_by_us and not now.enabled)):
        steps.append(Step("enable"))
    return tuple(steps)


def holds_back(toxic: Toxic) -> bool:
    """Whether it may hold answers back. An unknown type may."""
    known = TOXICS.get(toxic.type)
    return known is None or known.keeps_back


def _trickles(toxic: Toxic) -> bool:
    known = TOXICS.get(toxic.type)
    return known is not None and known.trickles


def changes_by_others(
    before: Proxy, now: Proxy | None, run_prefix: str, *, disabled_by_us: bool | None
) -> tuple[str, ...]:
    """What others did to the proxy since `before`, a sentence each. Everything of the run is left out.

    `disabled_by_us` None: whether our last call to disable or enable it was obeyed is unknown.
    """
    if now is None:
        return (f"proxy {before.name} is gone: the server was restarted without it, or the proxy was deleted",)
    found: list[str] = []
    if disabled_by_us is not None and now.enabled != (before.enabled and not disabled_by_us):
        found.append(f"proxy {before.name} was {'enabled' if now.enabled else 'disabled'} by another program")
    for what, was, is_now in (("listens on", before.listen, now.listen), ("leads to", before.upstream, now.upstream)):
        if was != is_now:
            found.append(f"proxy {before.name} {what} {is_now} and no longer {was}")
    were = {toxic.name: toxic for toxic in before.toxics if not toxic.name.startswith(run_prefix)}
    are = {toxic.name: toxic for toxic in now.toxics if not toxic.name.startswith(run_prefix)}
    found += [f"toxic {name} was added to proxy {now.name}" for name in are if name not in were]
    found += [
        f"toxic {name} on proxy {now.name} was changed" for name in are if name in were and were[name] != are[name]
    ]
    if gone := [name for name in were if name not in are]:
        why = "the server was restarted, or they were removed"
        found.append(f"{', '.join(gone)} of others no longer stand on proxy {now.name}: {why}")
    return tuple(found)


def by_hand(url: str, proxy: str, toxics: Sequence[str], *, is_disabled: bool) -> str:
    """The calls that put a borrowed proxy back when its server answers again; empty: there is nothing to put back.

    `toxics`: the names of ours that may be on it. `is_disabled`: the run may have disabled it.
    """
    at = f"{url}/proxies/{quote(proxy, safe='')}"
    calls = [f"curl -X DELETE {at}/toxics/{quote(toxic, safe='')}" for toxic in toxics]
    if is_disabled:
        calls.append(f"curl -X POST {at} -d '{{\"enabled\": true}}'")
    return f"by hand, when it answers again: {'; '.join(calls)}" if calls else ""
