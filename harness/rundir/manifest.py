"""manifest.json: what a run consisted of and how it ended, beside the rows that say what happened.

It is written once when the run starts (`ended` is null) and once when it is over. If a manifest was never finished, the
run was cut short; its evidence stays readable and its verdict is a rig failure.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from harness.model.frozen import Frozen
from harness.rundir.ndjson import replace_file
from harness.units import format_duration

SERVICE: Final = "sut"
"""The service's name among a run's children."""
UPSTREAM_PREFIX: Final = "upstream-"
"""Begins the names of the upstreams' children, so that an upstream called `toxiproxy` is not taken for Toxiproxy."""
TAILGATE: Final = "tailgate"
"""The part that failed where no child did."""
MACHINE: Final = "machine"
"""Stands in resources.ndjson where a child's name stands, in the lines about the whole machine."""
_PARTS: Final = {SERVICE: "service", "toxiproxy": "Toxiproxy", "backends": "fakes", "gateway": "gateway"}


def part_of(child: str) -> str:
    """What a child of the run is, for people: `upstream cache`, `gateway`, `load workers`."""
    if child.startswith(UPSTREAM_PREFIX):
        return part_of_upstream(child.removeprefix(UPSTREAM_PREFIX))
    return _PARTS.get(child, "load workers")


def part_of_upstream(name: str) -> str:
    """As `part_of`, of a real server or a command behind an upstream."""
    return f"upstream {name}"


def how_ended(code: int) -> str:
    """For people, as the end of a sentence: `ended with exit code 1`. `code`: as subprocess reports it."""
    return f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"


class ToxiproxyInfo(Frozen):
    kind: Literal["real", "none"]
    """`none`: the scenario has no upstreams, so there is no Toxiproxy."""
    version: str | None = None
    source: str | None = None
    """Where it was found: TOXIPROXY_URL, scenario, PATH, installed."""
    url: str | None = None


class ProcessExit(Frozen):
    """A child that ended by itself. One that a signal stopped (SIGSTOP), or that was not ready again in time after a
    fault of the plan had ended or stopped it, counts as the same."""

    child: str
    t_ns: int
    code: int
    """As subprocess reports it: negative for a signal."""
    stopped: bool = False
    """`code` is then the signal that stopped the process, and the harness ended it."""
    not_ready_ms: float | None = None
    """It runs, but was not ready within this time after a planned end or stop; `code` is 0 then."""
    last_line: str = ""
    """The last line of its log."""

    @property
    def how(self) -> str:
        """For people, as the end of a sentence: `ended with exit code 1`."""
        if self.not_ready_ms is not None:
            return f"was not ready again within {format_duration(self.not_ready_ms)} of the fault on it"
        if self.stopped:
            return "was stopped by a signal (SIGSTOP)"
        return how_ended(self.code)


class HarnessFault(Frozen):
    """Something that was the harness's fault, and how to fix it."""

    check: str
    """The validity check it belongs to: faults, rollback, workers, files …"""
    message: str
    fix: str = ""
    part: str = ""
    """What failed, for people: `upstream cache`, `gateway`; empty: unknown, or the check's name says it."""


class RunEnd(Frozen):
    """How the run ended, and what went wrong by then."""

    reason: Literal[
        "done", "fail_fast", "aborted", "warmup_failed", "interrupted", "service_gone", "rig", "never_ready"
    ]
    stop_at_ns: int | None = None
    """Every arrival intended before this has a row. None means the planned end."""
    deaths: tuple[ProcessExit, ...] = ()
    rig: tuple[HarnessFault, ...] = ()
    rollback_verified: bool | None = None
    """None: no fault was ever applied."""


class Manifest(Frozen):
    schema_version: Literal[1] = 1
    run_id: str
    stack_id: str = ""
    """The run for which the stack was started; empty: this run."""
    tool_version: str
    started_at: str
    """UTC, ISO 8601, seconds."""
    boot_id: str
    wall_offset_ns: int
    """Wall clock minus monotonic clock at the start."""
    t0_ns: int | None = None
    """Monotonic time of t = 0; None if load never started."""
    engine: ToxiproxyInfo
    host: dict[str, str] = {}
    """python, platform, cores, locust, nginx: for the report's environment table."""
    ended: RunEnd | None = None

    def write(self, run_dir: Path) -> None:
        """Raises OSError."""
        replace_file(run_dir / "manifest.json", self.model_dump_json(indent=1) + "\n")

    @classmethod
    def read(cls, run_dir: Path) -> Manifest:
        """Raises FileNotFoundError and pydantic.ValidationError."""
        return cls.model_validate_json((run_dir / "manifest.json").read_bytes())
