"""What a request costs tailgate and other load generators: `python -m bench.generators [ROUNDS] [--short]`.

All send the same constant arrivals for ten seconds to the same nginx, which answers with 4.8 kB of JSON; one after
another, in turn. The CPU time is that of the generator's processes (of tailgate's workers from the moment they are
ready), less that of a run of the same program that sends next to nothing. tailgate's latency counts from the intended
time, the others' from the actual start of each request.

vegeta and k6 are found on PATH, or built by `go install` in the full form; what is absent is said. Required of
tailgate: at most vegeta's CPU at 1,000/s and 1.5 times that at 3,000/s, less than k6's at both, a median latency of at
most vegeta's and 0.3 ms at 1,000/s, and at 3,000/s from one worker a send lag p99 under 5 ms.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import psutil

from bench.command_line import bench_parser, exit_code
from bench.drive_run import drive, open_plan
from bench.go_tools import find_tool

RATES_PER_S: Final = (1000, 3000)
TAILGATE: Final = "tailgate"
OTHERS: Final = ("vegeta", "k6")
WAIT_S: Final = 10.0
BODY: Final = json.dumps({"offers": [{"instance": f"gpu-1x-{i:04d}", "price": i / 7} for i in range(89)]}).encode()
NGINX: Final = """\
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
worker_rlimit_nofile 20000;
events {{ worker_connections 10000; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 75s; default_type application/json;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; tcp_nodelay on;
  server {{ listen 127.0.0.1:{port} backlog=4096; root {folder}/www; open_file_cache max=10; }}
}}
"""
K6: Final = """\
import http from "k6/http";
export const options = {{ discardResponseBodies: true, scenarios: {{ all: {{ executor: "constant-arrival-rate",
  rate: {rate}, timeUnit: "1s", duration: "{duration}s", preAllocatedVUs: 200, maxVUs: 2000 }} }} }};
export default function () {{ http.get("{url}"); }}
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run. `cpu_s`: as told by a run itself, what is to be added to the CPU time of all its processes.
    `lag_p99_ms`: how late it sent, where it says so."""

    requests: int
    cpu_s: float
    p50_ms: float
    lag_p99_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Job:
    url: str
    rate_per_s: int
    duration_s: int
    folder: Path
    workers: int = 1


def by_tailgate(job: Job) -> Measured:
    folder = Path(tempfile.mkdtemp(dir=job.folder))
    plan = open_plan(
        job.url, rate_per_s=job.rate_per_s, warmup_s=0, duration_s=job.duration_s, cap_s=5, workers=job.workers
    )
    schedule = plan.load.schedule
    assert schedule is not None
    load = plan.load.model_copy(update={"schedule": schedule.model_copy(update={"arrivals": "constant"})})
    ready_s = 0.0

    def at_start(_t0_ns: int) -> None:
        nonlocal ready_s
        for child in psutil.Process().children():
            if "--tailgate-worker" in child.cmdline():
                used = child.cpu_times()
                ready_s += used.user + used.system

    rows, _ = drive(plan.model_copy(update={"load": load}), folder, at_start)
    latency_ms = (rows["done_ns"] - rows["intended_ns"]) / 1e6
    lag_ms = (rows["sent_ns"] - rows["intended_ns"]) / 1e6
    good = int(np.count_nonzero(rows["outcome"] == 0))
    return Measured(good, -ready_s, float(np.median(latency_ms)), float(np.percentile(lag_ms, 99)))


def by_vegeta(program: Path, job: Job) -> Measured:
    results = job.folder / "vegeta.bin"
    words = ["attack", f"-rate={job.rate_per_s}/s", f"-duration={job.duration_s}s", f"-output={results}"]
    _run([str(program), *words], stdin=f"GET {job.url}/\n")
    before_s = _children_cpu_s()
    told = json.loads(_run([str(program), "report", "-type=json", str(results)]))
    report_s = _children_cpu_s() - before_s
    good = int(told["status_codes"].get("200", 0))
    return Measured(good, -report_s, told["latencies"]["50th"] / 1e6)  # the report is no part of its load


def by_k6(program: Path, job: Job) -> Measured:
    script, summary = job.folder / "load.js", job.folder / "summary.json"
    script.write_text(K6.format(rate=job.rate_per_s, duration=job.duration_s, url=job.url + "/"), encoding="utf-8")
    _run([str(program), "run", "--quiet", "--no-usage-report", f"--summary-export={summary}", str(script)])
    metrics = json.loads(summary.read_text(encoding="utf-8"))["metrics"]
    failed = metrics.get("http_req_failed", {}).get("passes", 0)
    return Measured(int(metrics["http_reqs"]["count"]) - int(failed), 0.0, float(metrics["http_req_duration"]["med"]))


def measure(run: Callable[[Job], Measured], job: Job) -> Measured:
    """With the CPU time of every process that it started."""
    before_s = _children_cpu_s()
    told = run(job)
    return Measured(told.requests, told.cpu_s + _children_cpu_s() - before_s, told.p50_ms, told.lag_p99_ms)


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run(argv: list[str], stdin: str = "") -> str:
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise SystemExit(f"`{argv[0]}` exited with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


@contextmanager
def nginx(folder: Path) -> Iterator[str]:
    """Its URL. Raises SystemExit where there is no nginx."""
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        raise SystemExit("no nginx (Debian: apt-get install nginx-light)")
    (folder / "www").mkdir()
    folder.chmod(0o755)
    (folder / "www" / "index.html").write_bytes(BODY)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port), encoding="utf-8")
    server = subprocess.Popen([program, "-p", str(folder), "-c", str(folder / "nginx.conf")])
    try:
        _await_port(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(WAIT_S)


def _await_port(port: int) -> None:
    give_up = time.monotonic() + WAIT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.02)
        else:
            return


def generators(*, build: bool) -> dict[str, Callable[[Job], Measured]]:
    """By name; says which are absent."""
    found: dict[str, Callable[[Job], Measured]] = {TAILGATE: by_tailgate}
    for name, run in (("vegeta", by_vegeta), ("k6", by_k6)):
        program = find_tool(name, build=build)
        if program is None:
            print(f"{name} is absent: neither on PATH nor built (needs Go)")
        else:
            found[name] = lambda job, run=run, program=program: run(program, job)  # type: ignore[misc]
    return found


def main() -> int:
    parser = bench_parser(__doc__)
    parser.add_argument("rounds", nargs="?", type=int, metavar="ROUNDS", help="3, or 1 in short")
    parser.add_argument("--workers", type=int, default=1, help="of tailgate")
    parser.add_argument("--rate", type=int, action="append", metavar="PER_S", help="1000 and 3000")
    given = parser.parse_args()
    duration_s = 1 if given.short else 10
    rates = tuple(given.rate or (RATES_PER_S[:1] if given.short else RATES_PER_S))
    found = generators(build=not given.short)
    runs: dict[tuple[str, int], list[Measured]] = {(name, rate): [] for rate in rates for name in found}
    with tempfile.TemporaryDirectory() as folder, nginx(Path(folder)) as url:
        idle = {name: measure(run, Job(url, 1, 1, Path(folder), given.workers)).cpu_s for name, run in found.items()}
        for _ in range(given.rounds or (1 if given.short else 3)):
            for (name, rate), done in runs.items():
                done.append(measure(found[name], Job(url, rate, duration_s, Path(folder), given.workers)))
    return exit_code(holds=table(runs, idle, duration_s), short=given.short)


def table(runs: dict[tuple[str, int], list[Measured]], idle: dict[str, float], duration_s: int) -> bool:
    """Prints the runs, and whether the requirements hold as far as they can be judged."""
    print("| generator | rate | requests/s done | µs CPU a request | least | most | p50 (ms) | send lag p99 (ms) |")
    print("|---|---|---|---|---|---|---|---|")
    cpu: dict[tuple[str, int], float] = {}
    p50: dict[tuple[str, int], float] = {}
    holds = True
    for (name, rate), done in runs.items():
        costs = [max(0.0, run.cpu_s - idle[name]) * 1e6 / max(run.requests, 1) for run in done]
        cpu[name, rate], p50[name, rate] = statistics.median(costs), statistics.median(run.p50_ms for run in done)
        lags = [run.lag_p99_ms for run in done if run.lag_p99_ms is not None]
        lag = f"{statistics.median(lags):.2f}" if lags else "n/a"
        sent_per_s = statistics.median(run.requests for run in done) / duration_s
        print(
            f"| {name} | {rate:,} | {sent_per_s:,.0f} | {cpu[name, rate]:.0f} | {min(costs):.0f} | {max(costs):.0f} "
            f"| {p50[name, rate]:.2f} | {lag} |"
        )
        if lags and rate == max(RATES_PER_S):
            holds &= statistics.median(lags) < 5
    for rate, factor in zip(RATES_PER_S, (1.0, 1.5), strict=True):
        for name in OTHERS:
            if (name, rate) in cpu and (TAILGATE, rate) in cpu:
                ratio = cpu[TAILGATE, rate] / cpu[name, rate]
                print(f"at {rate:,}/s tailgate uses {ratio:.2f} times the CPU of {name}")
                holds &= ratio <= (factor if name == "vegeta" else 1.0)
    if ("vegeta", RATES_PER_S[0]) in p50 and (TAILGATE, RATES_PER_S[0]) in p50:
        holds &= p50[TAILGATE, RATES_PER_S[0]] <= p50["vegeta", RATES_PER_S[0]] + 0.3
    return holds


if __name__ == "__main__":
    sys.exit(main())
