"""What is left of a `service` that cannot be read whole: its broken keys dropped, or stood in for. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from harness.scenario.schema.rungs import rungs_with
from harness.scenario.schema.scenario import Service
from harness.scenario.schema.value_syntax import ALERTS_OF_A_RUNG

WHICH: Final = Service.ONE_OF[0]
_STAND_INS: Final[dict[str, Any]] = {
    "command": ("broken", "{port}"),
    "rung": "isolated",
    "url": "http://127.0.0.1:1",
}
_ALERTS: Final = "alerts"


@dataclass(frozen=True, slots=True)
class RepairedService:
    """`unsure_which`: whether it is a command, a rung or a URL. `unsure_port`: whether it is told its port."""

    service: dict[str, Any]
    aside: frozenset[str]
    unsure_which: bool
    unsure_port: bool


def repaired_service(written: Any, lost: Collection[str], meant: Collection[str], *, external: bool) -> RepairedService:
    """`lost`: keys that cannot be read, or are unknown; `meant`: what unknown ones were meant to be, or empty."""
    given = written if isinstance(written, dict) else {}
    left = {key: value for key, value in given.items() if key not in lost}
    aside = set(lost)
    of_which = [key for key in WHICH if key in lost or key in meant]
    chosen = [key for key in WHICH if left.get(key) is not None]
    unsure_which = not given or bool(chosen and of_which) or (not chosen and len(of_which) != 1)
    if not chosen:
        which = of_which[0] if len(of_which) == 1 else "url" if external else "command"
        left[which] = _STAND_INS[which]
        aside.add(which)
    if unsure_which:  # what depends on which of them it is says nothing
        for key in ("without", "with", "client", "env", "headers"):
            left.pop(key, None)
            aside.add(key)
    elif not chosen and "rung" in left:
        left.pop("client", None)
        for key in ("without", "with"):  # which policies the rung has nobody knows; what no rung has is still wrong
            policies = left.get(key)
            if isinstance(policies, tuple):
                left[key] = tuple(policy for policy in policies if isinstance(policy, str) and not rungs_with(policy))
    # without one, gates on whom it names would be refused
    if _ALERTS in lost or _ALERTS in meant or (_ALERTS not in left and ("" in meant or unsure_which)):
        left[_ALERTS] = ALERTS_OF_A_RUNG
        aside.add(_ALERTS)
    unsure_port = bool(meant) or bool({"env", *WHICH} & set(lost))
    return RepairedService(left, frozenset(aside), unsure_which, unsure_port)
