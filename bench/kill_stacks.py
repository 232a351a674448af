"""The stacks that the kill matrix disturbs: which processes and phases each has, and the scenario of its runs.

Undisturbed, each scenario is a PASS, after about fifteen seconds of load, few enough a second that other runs may stand
beside it. Only the columns `down` and `blackhole` may end otherwise, and no run of theirs is left alone.
"""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.toxiproxy.find import BINARY

SIGNALS: Final = ("SIGKILL", "SIGTERM", "SIGSTOP")
PROCESS_FAULTS: Final = {"paused": "pause: true", "killed": "kill: true", "blackhole": "blackhole: true"}
FAULTS: Final = {**PROCESS_FAULTS, "down": "down: true"}
"""The fault of a column that is called by it; in all other columns it is a latency of 60 s."""
PHASES: Final = ("warm-up", "baseline", "fault", *FAULTS, "recovery", "reporting", "others")
"""In the order of the tables. `reporting` is all that comes after the load; `others`: while the fault is active, on a
Toxiproxy that is not the run's."""

FAKED: Final = "faked"
ORIGIN: Final = "origin"
"""A real server that the run has not started: its death is no matter of the run."""
PARTNER, PARTNER_CHILD = "partner", "partner-child"
LEGACY: Final = "legacy_api"
"""The name of the proxy that a run borrows."""

RELAY, FAR, FAR_LOCUST = "relay", "worker elsewhere", "its locust"
"""Of a load from `tailgate worker`: Locust's master, the command itself, and the process that it starts."""
FAR_WORKERS: Final = 2

WORDS: Final = {
    RELAY: "scenarios.drive.remote.master",
    FAR_LOCUST: "scenarios.drive.locust_worker",
    "supervisor": "harness.stack.supervisor.supervisor",
    "toxiproxy": BINARY,
    "fakes": "fake_backends",
    "forwarder": "fake_backends",
    "service": "aggregator",
    "gateway": "nginx.conf",
    "locust": "scenarios.drive.locust_worker",
    PARTNER: "as-leader",
    PARTNER_CHILD: "as-server",
}
"""By the process: a word of its command line that no other process of the run has."""

_HERE: Final = Path(__file__).parent
PARTNER_PROGRAM: Final = _HERE / "kill_partner.py"


@dataclass(frozen=True, slots=True)
class KillStack:
    """`phases_of`: the processes that get the signals, each with the phases in which it gets them."""

    name: str
    phases_of: dict[str, tuple[str, ...]]
    scenario: str
    borrows: bool = False
    """The run uses a proxy on a Toxiproxy of others."""
    forwards: bool = False
    """The run has an upstream at `ORIGIN_PORT`, which speaks HTTPS."""
    load_is_elsewhere: bool = False
    """`FAR_WORKERS` commands `tailgate worker` send the load."""

    @property
    def phases(self) -> tuple[str, ...]:
        return tuple(phase for phase in PHASES if any(phase in phases for phases in self.phases_of.values()))

    def text(self, phase: str, origin_port: int | None, toxiproxy_url: str | None) -> str:
        """The scenario for a cell of this phase."""
        text = self.scenario.replace("FAULT", FAULTS.get(phase, "latency: 60s"))
        return text.replace("ORIGIN_PORT", str(origin_port)).replace("TOXIPROXY_URL", str(toxiproxy_url))


@dataclass(frozen=True, slots=True)
class Cell:
    """One signal to one process in one phase."""

    actor: str
    signal: str
    phase: str
    stack: str = FAKED

    def __str__(self) -> str:
        return f"{self.stack}/{self.brief}"

    @property
    def brief(self) -> str:
        """Without the stack."""
        return f"{self.actor}/{self.signal}/{self.phase}"

    @property
    def goes_on(self) -> bool:
        """Whether the signal is no reason to end the run: to a server that is not the run's, or a stop of what a fault
        has stopped already."""
        return self.actor == ORIGIN or (self._hits_paused and self.signal == "SIGSTOP")

    @property
    def shows_later(self) -> bool:
        """Whether the signal shows when the fault ends: a paused process gets it only then, or is missed only then."""
        return self._hits_paused and self.signal != "SIGSTOP"

    @property
    def _hits_paused(self) -> bool:
        return self.phase == "paused" and self.actor in (PARTNER, PARTNER_CHILD)


_OF_FAKES: Final = """\
name: cell
service: {rung: timeout}
upstreams:
  azure: {p50: 10ms, p99: 25ms, rows: 10}
  gcp: {p50: 10ms, p99: 25ms, rows: 10}
gateway: {kind: nginx, timeout: 2s}
load: {request: GET /v1/offers, rate: 20/s, warmup: 2s, baseline: 2s, recovery: 2s, guard: 1s}
faults: [{name: azure-slow, upstream: azure, FAULT, for: 7s}]
gates: [p90 < gateway.timeout during azure-slow, complete > 90% during azure-slow]
verdict: {clump: 50ms}
"""


def _of_partner(upstream: str) -> str:
    """The scenario of a service that asks one partner and answers without it too."""
    program = shlex.quote(str(_HERE / "kill_service.py"))
    service = json.dumps(f"{shlex.quote(sys.executable)} {program} {{port}} {{it.url}}")
    return f"""\
name: cell
service: {{command: {service}, ready: GET /healthz within 20s}}
upstreams: {{it: {upstream}}}
gateway: {{kind: client, timeout: 2s}}
load: {{request: GET /, rate: 20/s, warmup: 2s, baseline: 2s, recovery: 2s, guard: 1s, complete: none}}
faults: [{{name: bad, upstream: it, FAULT, for: 7s}}]
gates: [p90 < gateway.timeout during bad]
verdict: {{clump: 50ms}}
"""


_STARTED: Final = json.dumps(f"{shlex.quote(sys.executable)} {shlex.quote(str(PARTNER_PROGRAM))} {{port}} as-leader")
_WITH_FAKES: Final = ("warm-up", "baseline", "fault", "recovery", "reporting", "others")

STACKS: Final = {
    stack.name: stack
    for stack in (
        KillStack(
            FAKED,
            dict.fromkeys(
                ("tailgate", "supervisor", "toxiproxy", "fakes", "service", "gateway", "locust"), _WITH_FAKES
            ),
            _OF_FAKES,
        ),
        KillStack(
            "command",
            {
                "tailgate": tuple(PROCESS_FAULTS),
                "supervisor": tuple(PROCESS_FAULTS),
                PARTNER: ("baseline", "fault", "paused", "reporting"),
                PARTNER_CHILD: ("baseline", "paused"),
            },
            _of_partner(f"{{command: {_STARTED}, ready: GET /health within 20s}}"),
        ),
        KillStack(
            "forwarded",
            {
                "forwarder": ("baseline", "fault", "reporting"),
                ORIGIN: ("fault",),
            },
            _of_partner("{url: 'https://localhost:ORIGIN_PORT', tls: terminate, ca: ca.pem}"),
            forwards=True,
        ),
        KillStack(
            "borrowed",
            {
                "tailgate": ("fault", "down"),
                "supervisor": ("fault", "down"),
                "toxiproxy": ("fault", "down"),
            },
            _of_partner(f"{{proxy: {LEGACY}}}") + "toxiproxy: {url: TOXIPROXY_URL}\n",
            borrows=True,
        ),
        KillStack(
            "elsewhere",
            {
                "tailgate": ("fault",),
                "supervisor": ("fault",),
                RELAY: ("baseline", "fault"),
                FAR: ("baseline", "fault"),
                FAR_LOCUST: ("baseline", "fault"),
            },
            _OF_FAKES,
            load_is_elsewhere=True,
        ),
    )
}
"""The other stacks have the cells that differ from those of the first: what is new in them, and what owns it."""
CELLS: Final = tuple(
    Cell(actor, sig, phase, stack.name)
    for stack in STACKS.values()
    for actor, phases in stack.phases_of.items()
    for sig in SIGNALS
    for phase in phases
)
