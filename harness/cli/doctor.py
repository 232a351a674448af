"""`tailgate doctor`: is this machine fit to give a verdict? Each finding with the command that mends it."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

import click

from harness.cli.display import output
from harness.units import format_things

MARK: Final = {"ok": "✓", "warn": "!", "fail": "✗"}
OPEN_FILES_WANTED: Final = 8192
TIMER_LATE_MS: Final = 5.0


@dataclass(frozen=True, slots=True)
class DoctorCheck:
    """`fail`: a run cannot work here. `warn`: it works, with less than it could have."""

    check: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    fix: str = ""


@click.command("doctor")
@click.argument("scenarios", nargs=-1, metavar="[SCENARIO…]")
@click.option(
    "--allow-target", "allowed", multiple=True, metavar="HOST", help="With scenarios: ask a host off this machine too."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def doctor_command(scenarios: tuple[str, ...], allowed: tuple[str, ...], as_json: bool) -> int:
    """Check this machine: Toxiproxy, nginx, cores, open files, clock, ports, leftovers.

    With scenarios: check instead what each of them needs, and start nothing. Real upstreams by their probe, the
    programs of the service and of upstreams with `command`, a service by `url`. Of a Toxiproxy that runs already: its
    API, a proxy that is created and deleted again, and each borrowed proxy, which is not changed.
    """
    if scenarios:
        found = [finding for name in scenarios for finding in _reach(name, allowed, named=len(scenarios) > 1)]
        return _report(found, as_json, "these scenarios" if len(scenarios) > 1 else "this scenario")
    findings: list[DoctorCheck] = []
    for check in CHECKS:
        if check is _load and any(finding.state == "fail" for finding in findings):
            break  # it would only fail again
        findings.append(check())
    return _report(findings, as_json, "tailgate")


def _report(findings: list[DoctorCheck], as_json: bool, what: str) -> int:
    """Print the findings. `what` can run here, or cannot. Returns the exit code."""
    width = max(11, *(len(finding.check) for finding in findings))
    unfit = any(finding.state == "fail" for finding in findings)
    if as_json:
        output.document(
            {"schema_version": 1, "kind": "doctor", "fit": not unfit, "findings": [asdict(f) for f in findings]}
        )
        return 4 if unfit else 0
    for finding in findings:
        output.say(f"{MARK[finding.state]} {finding.check:<{width}} {finding.detail}")
        if finding.fix:
            output.say(f"  fix: {finding.fix}")
    click.echo(f"this machine cannot run {what} yet" if unfit else f"this machine can run {what}")
    return 4 if unfit else 0


def _reach(scenario: str, allowed: Sequence[str], *, named: bool) -> list[DoctorCheck]:
    """`named`: each finding names the scenario. Raises ScenarioError if the scenario itself is wrong."""
    from harness.run.reach.scenario import check_reach
    from harness.scenario import load_scenario

    loaded = load_scenario(scenario)
    before = f"{loaded.scenario.name}: " if named else ""
    reached = check_reach(loaded, os.environ, allowed)
    return [DoctorCheck(f"{before}{each.what}", each.state, each.detail, each.fix) for each in reached]


def _python() -> DoctorCheck:
    return DoctorCheck("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _cores() -> DoctorCheck:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores < 2:
        return DoctorCheck(
            "cores", "warn", "1: generator and service share it, so latencies carry both", "use 2 or more"
        )
    return DoctorCheck("cores", "ok", str(cores))


def _open_files() -> DoctorCheck:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < OPEN_FILES_WANTED:
        return DoctorCheck(
            "open files",
            "warn",
            f"at most {hard}: enough for about {hard // 4} requests in flight",
            f"raise the hard limit: `ulimit -Hn {OPEN_FILES_WANTED}` as root, or LimitNOFILE= of the unit",
        )
    return DoctorCheck(
        "open files", "ok", f"{soft}, raised to {'no limit' if hard == -1 else hard} for our own children"
    )


def _clock() -> DoctorCheck:
    """How late a 1 ms sleep wakes up: the floor of every send lag on this machine."""
    late_ms = []
    for _ in range(100):
        start_ns = time.monotonic_ns()
        time.sleep(0.001)
        late_ms.append((time.monotonic_ns() - start_ns) / 1e6 - 1.0)
    worst_ms = sorted(late_ms)[97]
    if worst_ms > TIMER_LATE_MS:
        return DoctorCheck(
            "clock",
            "warn",
            f"a 1 ms sleep wakes up {worst_ms:.1f} ms late: the machine is busy or throttled",
            "stop what else runs here, or use a machine with cores of its own",
        )
    return DoctorCheck("clock", "ok", f"monotonic, a 1 ms sleep wakes up {worst_ms:.2f} ms late at worst")


def _ports() -> DoctorCheck:
    """tailgate's ports lie below the kernel's ephemeral range, so that no other program is given one of them."""
    range_file = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if range_file.exists():
        low = int(range_file.read_text(encoding="ascii").split()[0])
        if low < 30000:
            return DoctorCheck(
                "ports",
                "warn",
                f"the kernel hands out ports from {low} on, ours are 20000 to 29999",
                "sysctl -w net.ipv4.ip_local_port_range='32768 60999'",
            )
    return DoctorCheck("ports", "ok", "20000 to 29999 are ours to pick from")


def _toxiproxy() -> DoctorCheck:
    from harness.errors import TailgateError
    from harness.toxiproxy.find import find_engine

    try:
        choice = find_engine()
    except TailgateError as exc:
        return DoctorCheck("toxiproxy", "fail", exc.message, exc.fix)
    return DoctorCheck("toxiproxy", "ok", f"{choice.version or 'version unknown'} from {choice.source}")


def _gateway() -> DoctorCheck:
    from harness.scenario.planning.gateway_choice import resolve_gateway

    choice = resolve_gateway("auto")
    if choice.kind != "nginx":
        return DoctorCheck(
            "nginx",
            "warn",
            "not found: tailgate keeps the gateway's deadline itself, without real 504s",
            "apt-get install nginx-light (or install the extra `tailgate[nginx]`)",
        )
    return DoctorCheck("nginx", "ok", str(choice.binary))


def _load() -> DoctorCheck:
    """A run of five seconds through everything: that it works at all, and what rate a worker can drive."""
    from harness.errors import TailgateError
    from harness.run.calibration import measure

    try:
        ceiling = measure()
        ceiling.write()
    except TailgateError as exc:
        return DoctorCheck(
            "load", "fail", f"a short run did not work: {exc.message}", exc.fix or "mend what is named above"
        )
    except OSError as exc:
        return DoctorCheck(
            "load", "warn", f"what was measured cannot be kept: {exc.strerror}", "make the cache folder writable"
        )
    return DoctorCheck(
        "load", "ok", f"about {ceiling.rate_per_s:.0f}/s for each worker ({ceiling.cpu_ms:.2f} ms of CPU a request)"
    )


def _leftovers() -> DoctorCheck:
    from harness.stack.processes.orphans import dead_runs

    runs = dead_runs()
    if runs:
        return DoctorCheck(
            "leftovers",
            "warn",
            f"processes of {format_things(len(runs), 'dead run')} are still here: {', '.join(runs)}",
            "tailgate toxiproxy sweep",
        )
    return DoctorCheck("leftovers", "ok", "nothing of an earlier run is left")


CHECKS: Final[tuple[Callable[[], DoctorCheck], ...]] = (
    _python,
    _cores,
    _open_files,
    _clock,
    _ports,
    _toxiproxy,
    _gateway,
    _leftovers,
    _load,
)

if sys.platform == "win32":  # pragma: no cover
    raise ImportError("tailgate runs on Linux and macOS")
