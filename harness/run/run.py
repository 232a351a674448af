"""The steps of one run: scenario → plan → stack → run directory → verdict → reports.

    1  find Toxiproxy and the gateway, lease ports, make the plan
    2  create the run directory
    3  start the stack and the load; follow it until the load is done or the run is stopped; take everything down
    4  judge, from the run directory alone
    5  write the reports

The machine's yardstick is measured before anything is started, and after step 3 has ended everything. The supervisor of
the first run is started before step 1 (`harness.run.head_start`). Whatever ends
a run early, step 3 leaves nothing running and step 4 judges what was recorded: an interruption, a service that died and
a rig failure lead to verdicts, not to tracebacks. `harness.run.invocation` repeats these steps, each time on a fresh
stack.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from harness.errors import RigError, ServiceGone, UsageError
from harness.gates.abort_rule import AbortRule
from harness.run import yardstick
from harness.run.head_start import HeadStart
from harness.run.locustfile_watch import LocustfileWatch
from harness.run.preload import Preload
from harness.run.progress import Display, EarlyStop, ProgressMonitor
from harness.run.remote_load import gateway_of, waiting_note, with_remote_workers
from harness.run.warmup_watch import WarmupWatch
from harness.rundir.yardstick import Yardstick, write_yardstick
from harness.scenario.checks.toxiproxy_server import borrowed_proxies, refuse_unreachable
from harness.scenario.planner import RunningToxiproxy, make_plan
from harness.stack.client import StackClient
from harness.stack.commands import StopReason
from harness.stack.events import Event
from harness.stack.processes.fd_limits import fit_slots, slots_note
from harness.stack.processes.ports import PortLease
from harness.target_allowlist import is_loopback
from harness.text import split_quote
from harness.toxiproxy.find import NONE, EngineChoice, find_engine
from harness.units import NS_PER_MS, NS_PER_S, format_duration, format_things
from scenarios.drive.command import lacks_libcurl

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.evidence import Evidence
    from harness.run.signals import Stopper
    from harness.rundir.plan import Plan
    from harness.rundir.planned.load import RemoteWorkers
    from harness.rundir.results import Results
    from harness.scenario.planner import LoadedCell
    from harness.scenario.schema.scenario import Scenario

DRAIN_MARGIN_MS = 20_000
"""A worker that has not closed its row file this long after the drain is lost; the supervisor gives up sooner."""


class _Overrun(RigError):
    """The load did not end and the supervisor did not report it, so there is nothing to judge."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command line that apply to every run of one call. `baseline`: the file of `--baseline`;
    `allowed`: the hosts of `--allow-target`."""

    out: Path
    seed: int | None = None
    overrides: tuple[str, ...] = ()
    workers: int = 1
    remote: RemoteWorkers | None = None
    """Where the workers come from if they are on other machines."""
    fail_fast: bool = False
    baseline: Path | None = None
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Session:
    """One call of `tailgate run`: its options, its display, the signals that may stop it, and what it started early."""

    options: Options
    display: Display
    stopper: Stopper
    head_start: HeadStart = field(default_factory=HeadStart)


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that is over. `results` is None if the user skipped the judging."""

    run_dir: Path
    results: Results | None
    evidence: Evidence | None = None
    """The evidence that the judge has read, so that a pool need not read it again. None if nothing was judged, and for
    a pool."""


def run_once(session: Session, cell: LoadedCell, *, run_dir: Path, run_id: str, seed: int) -> Finished:
    """Run one cell once. Raises RigError if the run could not begin, Interrupted if it was stopped before it began."""
    session.stopper.check()
    scenario = cell.loaded.scenario
    choice, running = choose_toxiproxy(scenario)
    with PortLease() as lease:
        plan = make_plan(
            cell.loaded,
            run_id=run_id,
            seed=seed,
            ports=lease.take,
            gateway=gateway_of(scenario, session.options.remote),
            workers=session.options.workers,
            cell=cell.name,
            run_dir=run_dir,
            toxiproxy=running,
        ).model_copy(update={"overrides": session.options.overrides})
        if plan.load.locustfile is not None:
            load = plan.load.model_copy(update={"allowed_targets": session.options.allowed})
            plan = plan.model_copy(update={"load": load})
        if session.options.remote is not None:
            plan = with_remote_workers(plan, session.options.remote)
        if scenario.load.max_in_flight is None:
            plan = fit_slots(plan)
        create_run_dir(run_dir, plan, cell.loaded.text, session.options.baseline)
        session.display.began(plan, run_dir, header(plan, choice))
        notes = (*_borrowing_notes(plan), _rate_warning(plan), slots_note(plan), waiting_note(plan))
        for note in filter(None, notes):
            session.display.note(note)
        before_ms = session.head_start.before_ms(run_id)
        try:
            _run_stack(session, plan, run_dir, lease, choice)
        finally:
            session.display.ended()
    _record_yardstick(run_dir, before_ms, session.stopper)
    if session.stopper.impatient:
        return Finished(run_dir, None)
    if not (run_dir / "plan.json").exists():
        raise RigError(f"{run_dir} was removed during the run", "keep it until the run is over, then run again")
    return judge_and_report(run_dir)


def _record_yardstick(run_dir: Path, before_ms: float, stopper: Stopper) -> None:
    """Measure the yardstick again, unless the user asked for a stop and waits, and write both figures. If the disk is
    full none is written."""
    after_ms = None if stopper.asked else yardstick.measure_ms()
    with suppress(OSError):
        write_yardstick(run_dir, Yardstick(before_ms=round(before_ms, 1), after_ms=after_ms and round(after_ms, 1)))


def choose_toxiproxy(scenario: Scenario) -> tuple[EngineChoice, RunningToxiproxy | None]:
    """Which Toxiproxy a run uses, and what one that runs already says of the proxies that the scenario borrows.

    What killed runs left on one of this host is removed. Raises UsageError or RigError if it cannot be used.
    """
    choice = find_engine(scenario.toxiproxy.url) if scenario.upstreams else NONE
    if choice.url and is_loopback(urlsplit(choice.url).hostname or ""):
        _sweep_dead_runs(choice.url)
    return choice, _query_running_toxiproxy(scenario, choice)


def _query_running_toxiproxy(scenario: Scenario, choice: EngineChoice) -> RunningToxiproxy | None:
    """What a Toxiproxy that runs already says of the proxies that the scenario borrows; None: the run starts its own.

    Raises UsageError or RigError if it cannot be used as the scenario says.
    """
    if choice.url is None:
        return None
    from harness.toxiproxy.borrow import addresses_of
    from harness.toxiproxy.client import ToxiproxyClient

    refuse_unreachable(scenario, choice.url)
    wanted = borrowed_proxies(scenario)
    network = scenario.toxiproxy.network(choice.url)
    proxies = addresses_of(ToxiproxyClient(choice.url), wanted, network) if wanted else {}
    return RunningToxiproxy(choice.url, proxies)


def _borrowing_notes(plan: Plan) -> list[str]:
    return [
        f"{upstream.name} is the borrowed proxy {upstream.borrowed} ({upstream.listener.address} → "
        f"{upstream.origin.address}); its connections are closed once whenever a delay on it ends"
        for upstream in plan.upstreams
        if upstream.borrowed is not None
    ]


def _sweep_dead_runs(toxiproxy_url: str) -> None:
    """Remove what killed runs left on a Toxiproxy of this host. On another host it is unknown which runs are alive."""
    from harness.stack.processes.orphans import live_runs
    from harness.toxiproxy.client import ToxiproxyClient
    from harness.toxiproxy.sweep import sweep

    sweep(ToxiproxyClient(toxiproxy_url), live_runs())


def create_run_dir(run_dir: Path, plan: Plan, text: str, baseline: Path | None) -> None:
    """Create the run directory with the files that are known before the run. Raises UsageError if that fails."""
    make_folder(run_dir / "logs")
    try:
        str(run_dir.resolve()).encode()
        (run_dir / "scenario.yaml").write_text(text, encoding="utf-8")
        plan.write(run_dir)
        if baseline:
            (run_dir / "main.json").write_bytes(baseline.read_bytes())
    except OSError as exc:
        raise UsageError(f"{run_dir} cannot be written: {exc.strerror}", "name another folder with --out") from exc
    except ValueError as exc:  # the run directory, the service's folder or a locustfile in the plan
        raise UsageError("a path of this run is not UTF-8, so it cannot be recorded", "move it, or rename it") from exc


def make_folder(folder: Path) -> None:
    """Create a folder and its parents. Raises UsageError if that fails, since nothing was started yet."""
    try:
        folder.mkdir(parents=True)
    except OSError as exc:
        raise UsageError(f"{folder} cannot be created: {exc.strerror}", "name another folder with --out") from exc


def header(plan: Plan, choice: EngineChoice) -> str:
    """One line on the run that begins: its name, length, gateway, Toxiproxy, seed and id."""
    load = plan.load
    cell = f" [{plan.cell}]" if plan.cell else ""
    engine = f"Toxiproxy {choice.version} ({choice.source})" if choice.kind == "real" else "no Toxiproxy"
    gateway: str = plan.gateway.kind
    if plan.gateway.timeout_ms is not None:
        gateway += f" with a timeout of {format_duration(plan.gateway.timeout_ms)}"
    length = format_duration(load.warmup_ms + load.duration_ms)
    client = " · sent by FastHttpUser, since pycurl is not installed" if lacks_libcurl(load) else ""
    return (
        f"{plan.name}{cell}: {length} of load{client} · gateway {gateway} · {engine} · seed {plan.seed} "
        f"· run {plan.run_id}"
    )


def _rate_warning(plan: Plan) -> str | None:
    """A warning of a rate that is higher than the workers can send, by what `tailgate doctor` measured; None if it is
    not, or nothing was measured."""
    from harness.run.max_rate import MaxRate
    from scenarios.load import planned_peak_per_s

    max_rate = MaxRate.read()
    if max_rate is None or not plan.load.streams or plan.load.remote is not None:  # it was measured on this machine
        return None
    peak, possible = planned_peak_per_s(plan.load), max_rate.rate_per_s * plan.load.workers
    if peak <= possible:
        return None
    workers = format_things(plan.load.workers, "load worker")
    return (
        f"warning: {peak:.0f}/s is beyond the {possible:.0f}/s that doctor measured for {workers}: expect send lag\n"
        f"fix: --workers {math.ceil(peak / max_rate.rate_per_s)}, on as many cores"
    )


def judge_and_report(run_dir: Path) -> Finished:
    """Steps 4 and 5, on evidence that is read once. `tailgate judge` and `tailgate report` repeat them.

    Raises RigError if the results cannot be written.
    """
    from harness import verdict
    from harness.evidence import Evidence, Pool
    from reports.report import write_reports

    try:
        evidence = Evidence.load(run_dir)
        results = verdict.write_judged(Pool.of(evidence), run_dir)
        write_reports(run_dir, evidence=evidence)
    except (OSError, UsageError) as exc:
        raise RigError(
            f"the results of {run_dir} cannot be written: {exc.strerror if isinstance(exc, OSError) else exc.message}",
            f"free some space, then `tailgate judge {run_dir}` and `tailgate report {run_dir}`; the evidence is there",
        ) from exc
    return Finished(run_dir, results, evidence)


def _run_stack(session: Session, plan: Plan, run_dir: Path, lease: PortLease, choice: EngineChoice) -> None:
    """Step 3. A stack that fails records it in the manifest, from which it is judged; then nothing is raised here."""
    early_stop = _early_stop(plan, run_dir, fail_fast=session.options.fail_fast)
    watch = ProgressMonitor(plan, run_dir, session.display, early_stop=early_stop)

    def starting(event: Event | None) -> None:
        session.stopper.check()
        if event:
            watch.event(event)

    supervisor = session.head_start.take(plan.run_id)
    with Preload() as preload, StackClient(run_dir, plan, lease, choice, supervisor) as stack:
        try:
            stack.up(starting)
            stack.go()
            _follow(stack, plan, watch, session.stopper, preload)
            ended = stack.down()
            if ended.reason == "rig" and stack.stood_still_s:
                session.display.note(_suspended_note(stack.stood_still_s))
        except _Overrun:
            raise
        except (RigError, ServiceGone) as exc:
            if not (run_dir / "manifest.json").exists():
                raise
            if exc.message not in watch.reported:  # the results have the rest: the end of a log, and what to do
                session.display.note(split_quote(exc.message)[0])


def _suspended_note(for_s: float) -> str:
    """The note for a user who stopped tailgate itself (SIGSTOP) and then continued it."""
    return (
        f"tailgate itself was suspended for {for_s:.0f} s. Its supervisor then took the faults back and ended all that "
        "it had started, so there is no verdict on the service"
    )


def _follow(stack: StackClient, plan: Plan, watch: ProgressMonitor, stopper: Stopper, preload: Preload) -> None:
    """Follow the load until every row is on disk or the stack is down. Raises _Overrun if it does not end in time."""
    planned_ms = plan.load.warmup_ms + plan.load.duration_ms + plan.load.drain_ms + DRAIN_MARGIN_MS
    give_up_ns = time.monotonic_ns() + round(planned_ms * NS_PER_MS)
    stopped, warmup = False, WarmupWatch(plan, watch.run_dir)
    locustfile = LocustfileWatch(plan, watch.run_dir)
    while time.monotonic_ns() < give_up_ns:
        for event in stack.events(0.25):
            watch.event(event)
            if event.event == "load_started":
                preload.start(plan)
            if event.event in ("load_done", "down"):
                return
        early, now_ns = watch.tick(), time.monotonic_ns()
        warmup_failed = warmup.stop_reason(watch.t0_ns, now_ns)
        for news in locustfile.news(watch.t0_ns, now_ns):
            watch.display.note(news)
        if not stopped and (warning := warmup.uncalled_warning(watch.t0_ns, now_ns)):
            watch.display.note(warning)
        if stopped or not (stopper.asked or early or warmup_failed):
            continue
        stopped = True
        stopping = f"{stopper.why}stopping: the faults are being taken back; what was measured so far is kept"
        watch.display.note(early.why if early else f"stopping: {warmup_failed}" if warmup_failed else stopping)
        reason: StopReason = early.reason if early else "warmup_failed"
        stack.stop(time.monotonic_ns(), "interrupted" if stopper.asked else reason)
        give_up_ns = min(give_up_ns, time.monotonic_ns() + round(plan.load.drain_ms * NS_PER_MS) + 20 * NS_PER_S)
    raise _Overrun(
        f"the load did not end within {format_duration(planned_ms)}", "see logs/locust-*.log in the run directory"
    )


def _early_stop(
    plan: Plan, run_dir: Path, *, fail_fast: bool
) -> Callable[[NDArray[Any], int], EarlyStop | None] | None:
    """What may end the load early: a safety stop of the plan, and with `fail_fast` a gate that can no longer pass."""
    rules = [AbortRule.parse(text) for text in plan.abort_if]
    if not (rules or fail_fast):
        return None
    from harness.evidence.files import read_resources
    from harness.run.early_stop import FailFast

    cannot_pass = FailFast(plan, lambda: read_resources(run_dir, [])).reason if fail_fast else None

    def early_stop(rows: NDArray[Any], t0_ns: int) -> EarlyStop | None:
        if cannot_pass and (why := cannot_pass(rows, t0_ns)):
            return EarlyStop("fail_fast", why)
        aborted = next((why for rule in rules if (why := rule.reason(plan, rows, t0_ns))), None)
        return EarlyStop("aborted", f"aborting: {aborted}") if aborted else None

    return early_stop
