"""Run directories made up from a plan and a seeded latency model: complete, quick, and open to damage.

`make_plan` gives a plan, `record` plays it without a process or a socket, `Recording.write` puts the
files a judge reads on disk. A test changes the recording's arrays or lists before writing them, or
breaks the files afterwards. A million arrivals take about two seconds.

    plan = make_plan(faults=[slow_fault()], gates=["p99 < gateway.timeout during azure-slow"])
    run_dir = record(plan, policy="parallel").write(tmp_path)
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.rundir.canaries import Canary, CanaryLine, Connections, Freed, Refused
from harness.rundir.detections import Recorded
from harness.rundir.incomplete import IncompleteAnswer, answer_name, index_name
from harness.rundir.journal import Entry
from harness.rundir.manifest import Manifest, RunEnd, ToxiproxyInfo
from harness.rundir.metrics.readings import FILE as METRICS
from harness.rundir.metrics.readings import MetricReading
from harness.rundir.plan import Plan, PlannedGate, PlannedVerdict
from harness.rundir.planned.fault import FaultWindow, PlannedFault, Proof
from harness.rundir.planned.load import PlannedLoad, PlannedRequest, Schedule, Stage
from harness.rundir.planned.service import PlannedGateway, PlannedService
from harness.rundir.planned.upstream import Endpoint, FakeSpec, PlannedUpstream
from harness.rundir.rows import CALLS, LAYOUT, SAMPLES, Outcome, RowLayout
from harness.rundir.unmatched import FILE as UNMATCHED
from harness.rundir.unmatched import Unmatched
from harness.rundir.yardstick import Yardstick, write_yardstick
from harness.units import NS_PER_MS
from scenarios.load import PlannedArrivals

T0_NS = 50_000 * 1_000_000_000
"""Monotonic time of t = 0 in every made-up run."""

Policy = Literal["parallel", "sequential", "timeout"]
"""What the made-up service does: waits for all at once, one after the other, or with a deadline for each."""


def slow_fault(
    name: str = "azure-slow",
    *,
    upstream: str = "azure",
    apply_ms: float = 35_000,
    remove_ms: float = 97_000,
    delay_ms: float = 60_000,
    held_ms: float = 2_000,
) -> PlannedFault:
    """A latency on one upstream; with the defaults its phase is 60 s long."""
    return PlannedFault(
        name=name,
        kind="latency",
        text=f"latency {delay_ms / 1000:g}s",
        upstreams=(upstream,),
        windows=(FaultWindow(apply_ms=apply_ms, remove_ms=remove_ms),),
        held_ms=held_ms,
        delay_ms=delay_ms,
        proof=Proof(kind="held", least_ms=min(delay_ms, held_ms, 2_000.0)),
    )


def down_fault(
    name: str = "azure-down", *, upstream: str = "azure", apply_ms: float = 35_000, remove_ms: float = 95_000
) -> PlannedFault:
    return PlannedFault(
        name=name,
        kind="down",
        text="down",
        upstreams=(upstream,),
        windows=(FaultWindow(apply_ms=apply_ms, remove_ms=remove_ms),),
        disables_proxy=True,
        held_ms=0.0,
        proof=Proof(kind="failed"),
    )


def make_plan(
    *,
    upstreams: Sequence[str] = ("azure", "gcp", "aws"),
    rate_per_s: float = 40.0,
    warmup_ms: float = 2_000,
    duration_ms: float = 110_000,
    guard_ms: float = 2_000,
    faults: Sequence[PlannedFault] = (),
    gates: Sequence[str] = ("p99 < gateway.timeout",),
    gateway_timeout_ms: float = 2_000,
    requests: Sequence[PlannedRequest] | None = None,
    verdict: PlannedVerdict | None = None,
    workers: int = 1,
    seed: int = 7,
    run_id: str = "20250102-030405-abcd",
) -> Plan:
    stage = Stage(start_per_s=rate_per_s, end_per_s=rate_per_s, duration_ms=warmup_ms + duration_ms)
    return Plan(
        run_id=run_id,
        name="made-up",
        seed=seed,
        scenario_file="made-up.yaml",
        scenario_sha256="0" * 64,
        upstreams=tuple(
            PlannedUpstream(
                name=name,
                index=index,
                kind="fake",
                listener=Endpoint(port=20_000 + index),
                origin=Endpoint(port=20_100 + index),
                fake=FakeSpec(p50_ms=60, p99_ms=140, rows=40, page=0, provider="generic"),
            )
            for index, name in enumerate(upstreams)
        ),
        service=PlannedService(kind="command", argv=("serve",), url="http://127.0.0.1:20200", port=20_200),
        gateway=PlannedGateway(
            kind="nginx", timeout_ms=gateway_timeout_ms, port=20_201, target="http://127.0.0.1:20201"
        ),
        load=PlannedLoad(
            model="open",
            schedule=Schedule(start_ms=-warmup_ms, stages=(stage,)),
            workers=workers,
            requests=tuple(
                requests
                or [PlannedRequest(name="GET /v1/offers", method="GET", path="/v1/offers", asks=tuple(upstreams))]
            ),
            warmup_ms=warmup_ms,
            duration_ms=duration_ms,
            drain_ms=gateway_timeout_ms + 6_000,
            client_cap_ms=gateway_timeout_ms + 5_000,
            max_in_flight=2_000,
            ok=((200, 399),),
            complete="auto",
        ),
        guard_ms=guard_ms,
        faults=tuple(faults),
        gates=tuple(PlannedGate(id=f"gate-{index}", text=text, line=10 + index) for index, text in enumerate(gates, 1)),
        verdict=verdict or PlannedVerdict(),
    )


@dataclass(slots=True)
class Recording:
    """Everything a run leaves on disk, still in memory. Change it, then `write` it."""

    plan: Plan
    manifest: Manifest
    samples: NDArray[Any]
    calls: NDArray[Any]
    entries: list[Entry]
    canaries: list[CanaryLine]
    resources: list[dict[str, Any]] = field(default_factory=list)
    metrics: list[MetricReading] = field(default_factory=list)
    detections: list[Recorded] | None = field(default_factory=list)
    """None: as of a run before there were any."""
    incomplete: list[IncompleteAnswer] = field(default_factory=list)
    """As worker 0 keeps them; nothing is written of none, as by a run before there were any."""
    unmatched: list[Unmatched] = field(default_factory=list)
    yardstick: Yardstick | None = field(default_factory=lambda: Yardstick(before_ms=200.0, after_ms=204.0))
    """None: as of a run before there were any."""

    def write(self, run_dir: Path) -> Path:
        run_dir.mkdir(parents=True, exist_ok=True)
        self.plan.write(run_dir)
        self.manifest.write(run_dir)
        workers = self.plan.load.workers
        for worker in range(workers):
            own = self.samples if workers == 1 else self.samples[self.samples["seq"] % workers == worker]
            # workers append as requests end, not as they begin
            write_rows(run_dir / f"samples-{worker}.bin", SAMPLES, own[np.argsort(own["done_ns"], kind="stable")])
        if self.plan.upstreams:
            write_rows(run_dir / "calls-0.bin", CALLS, self.calls)
        _write_lines(run_dir / "faults.ndjson", [entry.model_dump_json() for entry in self.entries])
        _write_lines(run_dir / "canary.ndjson", [line.model_dump_json() for line in self.canaries])
        _write_lines(run_dir / "resources.ndjson", [json.dumps(line) for line in self.resources])
        if self.metrics:
            _write_lines(run_dir / METRICS, [reading.model_dump_json() for reading in self.metrics])
        if self.detections is not None:
            _write_lines(run_dir / "notices.ndjson", [line.model_dump_json() for line in self.detections])
        if self.incomplete:
            _write_lines(run_dir / index_name(0), [answer.model_dump_json() for answer in self.incomplete])
        if self.yardstick:
            write_yardstick(run_dir, self.yardstick)
        if self.unmatched:
            _write_lines(run_dir / UNMATCHED, [line.model_dump_json() for line in self.unmatched])
        return run_dir

    def lose(self, upstream: str, every: int, from_ms: float = -math.inf, to_ms: float = math.inf) -> NDArray[np.int64]:
        """Take an upstream out of each `every`th answer intended in [from, to); the indices of these samples."""
        t_ms = (self.samples["intended_ns"] - T0_NS) / NS_PER_MS
        which = np.flatnonzero((t_ms >= from_ms) & (t_ms < to_ms) & (self.samples["seq"] % every == 0))
        self.samples["answered"][which] &= ~np.uint64(1 << self.plan.upstream(upstream).index)
        return which

    def keep(self, index: int, *missing: str, body: bytes = b"{}", run_dir: Path | None = None) -> IncompleteAnswer:
        """An answer as a worker keeps it, of the sample at `index`; its file where there is a directory for it."""
        row = self.samples[index]
        file = answer_name(int(row["seq"]), int(row["part"]))
        answer = IncompleteAnswer(
            seq=int(row["seq"]),
            part=int(row["part"]),
            t_ns=int(row["intended_ns"]),
            request=self.plan.load.requests[int(row["request"])].name,
            status=int(row["status"]),
            missing=missing,
            file=file,
            bytes=len(body),
            cut=False,
        )
        self.incomplete.append(answer)
        if run_dir is not None:
            (run_dir / file).parent.mkdir(parents=True, exist_ok=True)
            (run_dir / file).write_bytes(body)
        return answer

    def outage(self, from_ms: float, to_ms: float) -> Recording:
        """Every request intended in [from, to) ends as a 504 at the gateway's timeout."""
        t_ms = (self.samples["intended_ns"] - T0_NS) / NS_PER_MS
        _time_out(self.samples, (t_ms >= from_ms) & (t_ms < to_ms), self.plan.gateway.timeout_ms or 0.0)
        return self

    def beside(
        self,
        from_s: int,
        to_s: int,
        *,
        others_s: float = 1.6,
        waited_s: float = 1.2,
        used_s: float = 0.3,
        rig_waited_s: float = 0.0,
        cores: int = 2,
        programs: Mapping[str, float] | None = None,
    ) -> Recording:
        """Readings of the cores as a run leaves them: with these figures (seconds per second) in the seconds from
        `from_s` to before `to_s`, and in all others with a service that has the cores nearly for itself."""
        usual = {"others": 0.05, "waited": 0.02, "used": 0.3, "rig": 0.0, "rig_used": 0.1}
        busy = {"others": others_s, "waited": waited_s, "used": used_s, "rig": rig_waited_s, "rig_used": 0.1}
        total = dict.fromkeys(usual, 0.0)
        for second in range(-1, round(self.plan.load.duration_ms / 1000) + 10):
            t_ns = T0_NS + second * 1_000_000_000
            is_busy = from_s <= second < to_s
            machine = {"cores": cores, "others_cpu_s": total["others"], "pressure_s": 0.0}
            self.resources += [
                {"t_ns": t_ns, "child": "sut", "cpu_s": total["used"], "run_delay_s": total["waited"]},
                {"t_ns": t_ns, "child": "backends", "cpu_s": total["rig_used"], "run_delay_s": total["rig"]},
                {"t_ns": t_ns, "child": "machine", **machine, "others_most": dict(programs or {}) if is_busy else {}},
            ]
            for name, figure in (busy if is_busy else usual).items():
                total[name] += figure
        return self

    def calls_later(self, from_ms: float, to_ms: float, by_ms: float) -> Recording:
        """The calls that come in [from, to) come, and are due and end, so much later. See `slowed` for the requests."""
        t_ms = (self.calls["arrived_ns"] - T0_NS) / NS_PER_MS
        chosen, by_ns = (t_ms >= from_ms) & (t_ms < to_ms), round(by_ms * NS_PER_MS)
        for name in ("arrived_ns", "done_ns"):
            self.calls[name][chosen] += by_ns
        self.calls["due_ns"][chosen & (self.calls["due_ns"] > 0)] += by_ns
        return self

    def slowed(self, from_ms: float, to_ms: float, by_ms: float) -> Recording:
        """Every request intended in [from, to) takes so much longer."""
        t_ms = (self.samples["intended_ns"] - T0_NS) / NS_PER_MS
        self.samples["done_ns"][(t_ms >= from_ms) & (t_ms < to_ms)] += round(by_ms * NS_PER_MS)
        return self

    def stopped(
        self, at_ms: float, reason: Literal["fail_fast", "aborted", "interrupted", "service_gone"]
    ) -> Recording:
        """As if the load had been stopped and every fault removed at `at_ms`."""
        at_ns = T0_NS + round(at_ms * NS_PER_MS)
        self.samples = self.samples[self.samples["intended_ns"] < at_ns]
        kept = [entry for entry in self.entries if entry.t_ns < at_ns]
        standing = [entry for entry in kept if entry.event == "applied" and not _removed(entry, kept)]
        for entry in standing:
            kept += _removal(entry.fault, entry.window, entry.upstream, at_ns)
        self.entries = kept
        self.canaries = [
            line for line in self.canaries if (line.sent_ns if isinstance(line, Canary) else line.t_ns) < at_ns
        ]
        applied = any(entry.event == "applied" for entry in kept)
        ended = RunEnd(reason=reason, stop_at_ns=at_ns, rollback_verified=True if applied else None)
        self.manifest = self.manifest.model_copy(update={"ended": ended})
        return self


def record(
    plan: Plan,
    *,
    policy: Policy = "parallel",
    deadline_ms: float = 1_000.0,
    seed: int = 1,
    lag_ms: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None,
    fault_reaches_service: bool = True,
    fault_works: bool = True,
) -> Recording:
    """Play a plan against a made-up service. `lag_ms` gives the send lag of arrivals at the given offsets (ms).

    Without `fault_reaches_service` the service goes around its proxies and asks no backend of ours;
    without `fault_works` Toxiproxy says yes and does nothing.
    """
    rng = np.random.default_rng(seed)
    planned = PlannedArrivals.of(plan.load, plan.seed)  # made-up runs are of the open model
    offsets = np.array(planned.at_ns, dtype=np.int64)
    samples = np.zeros(len(offsets), SAMPLES.dtype())
    samples["seq"] = np.arange(len(offsets))
    samples["intended_ns"] = T0_NS + offsets
    lag = np.full(len(offsets), 0.2) if lag_ms is None else lag_ms(offsets / NS_PER_MS)
    samples["sent_ns"] = samples["intended_ns"] + (lag * NS_PER_MS).astype(np.int64)
    if len(plan.load.requests) > 1:
        samples["request"] = [planned.request_of(seq) for seq in range(len(offsets))]
    faults = plan.faults if fault_works and fault_reaches_service else ()
    calls, took_ns = _fan_out(plan, faults, samples, rng, policy=policy, deadline_ms=deadline_ms)
    samples["done_ns"] = samples["sent_ns"] + took_ns + 2 * NS_PER_MS
    samples["status"] = 200
    samples["bytes"] = 4_096
    timeout_ms = plan.gateway.timeout_ms
    if timeout_ms is not None:
        _time_out(samples, samples["done_ns"] - samples["sent_ns"] >= timeout_ms * NS_PER_MS, timeout_ms)
    end_ns = T0_NS + round(plan.load.duration_ms * NS_PER_MS)
    return Recording(
        plan=plan,
        manifest=_manifest(plan),
        samples=samples,
        calls=calls if fault_reaches_service else calls[:0],
        entries=_journal(plan),
        canaries=[
            line
            for fault in plan.faults
            for line in _canaries(plan, fault, end_ns, works=fault_works, reaches=fault_reaches_service)
        ],
    )


def write_rows(path: Path, layout: RowLayout, rows: NDArray[Any]) -> None:
    """A closed row file, as `RowWriter` leaves it."""
    # numpy drops a layout's padding when it joins arrays
    data = np.ascontiguousarray(rows.astype(layout.dtype(), copy=False)).tobytes()
    path.write_bytes(data)
    footer = {"layout": LAYOUT, "rows": len(rows), "sha256": hashlib.sha256(data).hexdigest()}
    path.with_name(path.name + ".end").write_text(json.dumps(footer) + "\n", encoding="utf-8")


def _fan_out(
    plan: Plan,
    faults: Sequence[PlannedFault],
    samples: NDArray[Any],
    rng: np.random.Generator,
    *,
    policy: Policy,
    deadline_ms: float,
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The backends' rows, and how long the service took over each request (ns)."""
    started_ns = samples["sent_ns"] + NS_PER_MS
    took_ns = np.zeros(len(samples), np.int64)
    asks = [set(request.asks) for request in plan.load.requests]
    rows = []
    for upstream in plan.upstreams:
        asked = np.array([upstream.name in names for names in asks])[samples["request"]]
        arrived_ns = started_ns + took_ns if policy == "sequential" else started_ns
        assert upstream.fake is not None
        sigma = np.log(upstream.fake.p99_ms / upstream.fake.p50_ms) / 2.326348
        own_ns = (upstream.fake.p50_ms * np.exp(sigma * rng.standard_normal(len(samples))) * NS_PER_MS).astype(np.int64)
        injected_ns, lost = _injected_ns(faults, upstream.name, arrived_ns)
        wait_ns = np.where(asked, np.where(lost, 0, own_ns + injected_ns), 0)
        answered = asked & ~lost
        if policy == "timeout":
            answered &= wait_ns <= deadline_ms * NS_PER_MS
            wait_ns = np.minimum(wait_ns, round(deadline_ms * NS_PER_MS))
        took_ns = took_ns + wait_ns if policy == "sequential" else np.maximum(took_ns, wait_ns)
        samples["answered"] |= np.where(answered, np.uint64(1 << upstream.index), np.uint64(0))
        reached = asked & ~lost
        own = np.zeros(int(reached.sum()), CALLS.dtype())
        own["seq"] = samples["seq"][reached]
        own["arrived_ns"] = arrived_ns[reached]
        own["due_ns"] = own["done_ns"] = (arrived_ns + own_ns)[reached]
        own["status"], own["bytes"], own["upstream"] = 200, 2_048, upstream.index
        rows.append(own)
    return (np.concatenate(rows) if rows else np.zeros(0, CALLS.dtype())), took_ns


def _injected_ns(
    faults: Sequence[PlannedFault], upstream: str, arrived_ns: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """What the faults add to a call that arrives then, and whether it never reaches the backend at all."""
    added_ns = np.zeros(len(arrived_ns), np.int64)
    lost = np.zeros(len(arrived_ns), np.bool_)
    for fault in faults:
        if upstream not in fault.upstreams:
            continue
        for window in fault.windows:
            applied_ns = T0_NS + round(window.apply_ms * NS_PER_MS)
            removed_ns = T0_NS + round(window.remove_ms * NS_PER_MS)
            inside = (arrived_ns >= applied_ns) & (arrived_ns < removed_ns)
            if fault.disables_proxy:
                lost |= inside
            else:
                delay_ns = round((fault.delay_ms or 3_600_000.0) * NS_PER_MS)
                added_ns[inside] += np.minimum(delay_ns, removed_ns - arrived_ns[inside])
    return added_ns, lost


def _time_out(samples: NDArray[Any], which: NDArray[np.bool_], timeout_ms: float) -> None:
    samples["outcome"][which] = Outcome.GATEWAY_TIMEOUT
    samples["status"][which] = 504
    samples["answered"][which] = 0
    samples["bytes"][which] = 167
    samples["done_ns"][which] = samples["sent_ns"][which] + round(timeout_ms * NS_PER_MS)


def _manifest(plan: Plan) -> Manifest:
    return Manifest(
        run_id=plan.run_id,
        tool_version="0.1.0",
        started_at="2025-01-02T03:04:05Z",
        boot_id="00000000-0000-0000-0000-000000000000",
        wall_offset_ns=1_700_000_000_000_000_000,
        t0_ns=T0_NS,
        engine=ToxiproxyInfo(kind="real", version="2.12.0", source="PATH", url="http://127.0.0.1:20300"),
        host={"python": "3.11.2", "cores": "2"},
        ended=RunEnd(reason="done", rollback_verified=True if plan.faults else None),
    )


def _journal(plan: Plan) -> list[Entry]:
    entries: list[Entry] = []
    for fault in plan.faults:
        for number, window in enumerate(fault.windows):
            for upstream in fault.upstreams:
                applied_ns = T0_NS + round(window.apply_ms * NS_PER_MS)
                for event, t_ns in (
                    ("requested", applied_ns - 3 * NS_PER_MS),
                    ("applied", applied_ns),
                    ("observed", applied_ns + round((fault.proof.least_ms + 100) * NS_PER_MS)),
                ):
                    entries.append(Entry(fault=fault.name, window=number, upstream=upstream, event=event, t_ns=t_ns))
                entries += _removal(fault.name, number, upstream, T0_NS + round(window.remove_ms * NS_PER_MS))
    return sorted(entries, key=lambda entry: entry.t_ns)


def _removal(fault: str, window: int, upstream: str, at_ns: int) -> list[Entry]:
    return [
        Entry(fault=fault, window=window, upstream=upstream, event="removing", t_ns=at_ns),
        Entry(fault=fault, window=window, upstream=upstream, event="removed", t_ns=at_ns + 2 * NS_PER_MS),
        Entry(fault=fault, window=window, upstream=upstream, event="verified", t_ns=at_ns + 5 * NS_PER_MS),
    ]


def _removed(entry: Entry, entries: Sequence[Entry]) -> bool:
    key = (entry.fault, entry.window, entry.upstream)
    return any(other.event == "removed" and (other.fault, other.window, other.upstream) == key for other in entries)


def _canaries(plan: Plan, fault: PlannedFault, end_ns: int, *, works: bool, reaches: bool) -> list[CanaryLine]:
    lines: list[CanaryLine] = []
    for upstream in fault.upstreams:
        for sent_ns in range(T0_NS - round(plan.load.warmup_ms * NS_PER_MS), end_ns, 500 * NS_PER_MS):
            sent = np.array([sent_ns], np.int64)
            added, lost = _injected_ns([fault] if works else [], upstream, sent)
            took_ns = 2 * NS_PER_MS + int(added[0])
            held = took_ns > 3_000 * NS_PER_MS
            done_ns = sent_ns + min(took_ns, 3_000 * NS_PER_MS)
            outcome: Literal["ok", "held", "failed"] = "failed" if lost[0] else "held" if held else "ok"
            lines.append(
                Canary(upstream=upstream, sent_ns=sent_ns, done_ns=done_ns, outcome=outcome, bytes=0 if held else 64)
            )
        lines += [
            Connections(upstream=upstream, t_ns=t_ns, count=4 * reaches, since_ns=t_ns - 1_000 * NS_PER_MS)
            for t_ns in range(T0_NS, end_ns, 1_000 * NS_PER_MS)
        ]
        if fault.disables_proxy and works and reaches:
            lines += [
                Refused(upstream=upstream, t_ns=T0_NS + round((window.apply_ms + 30) * NS_PER_MS))
                for window in fault.windows
            ]
        for number, window in enumerate(fault.windows):
            t_ns = T0_NS + round((window.remove_ms + 500) * NS_PER_MS)
            lines.append(Freed(fault=fault.name, window=number, upstream=upstream, t_ns=t_ns, elapsed_ms=2.0))
    return sorted(lines, key=lambda line: line.sent_ns if isinstance(line, Canary) else line.t_ns)


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
