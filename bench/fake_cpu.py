"""CPU of the fakes' process for one call: a fake with 500 routes against the generic provider, with answers as large.

    python bench/fake_cpu.py [ROUNDS] [--short]

Each round asks both, one after the other, over one kept connection, for answers of about 1,500 bytes. Every call
asks for another of the routes; half of these have a parameter in their path, and half of those fill it into the answer.
"""

from __future__ import annotations

import http.client
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Final

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.command_line import read_options
from harness.correlation import READY_PATH
from harness.scenario import load_scenario
from harness.scenario.load import dry_plan
from harness.stack.processes.ports import PortLease

ROUTES, CALLS, SHORT_CALLS = 500, 4_000, 200
LIMIT: Final = 1.3
READY_WITHIN_S: Final = 20.0
TEXT: Final = "x" * 1_400


def scenario() -> str:
    literal = [f"GET /v2/things-{number}" for number in range(ROUTES // 2)]
    with_param = [f"GET /v2/things-{number}/{{id}}/parts" for number in range(ROUTES // 2)]
    lines = [f"      {route}: {{json: {{data: {TEXT}}}}}" for route in literal]
    ids = ["{id}" if number % 2 else "none" for number in range(len(with_param))]
    lines += [
        f'      "{route}": {{json: {{id: "{known}", data: {TEXT}}}}}'
        for route, known in zip(with_param, ids, strict=True)
    ]
    return "\n".join(
        [
            "name: cpu",
            'service: {command: "true {port}"}',
            "upstreams:",
            "  catalog: {rows: 6, profile: {constant: 0ms}}",
            "  routed:",
            "    profile: {constant: 0ms}",
            "    routes:",
            *lines,
            "gateway: {kind: none}",
            "load: {request: GET /, rate: 1/s, duration: 10s}",
            "gates: [errors < 50%]",
        ]
    )


def targets() -> list[str]:
    literal = [f"/v2/things-{number}" for number in range(ROUTES // 2)]
    return [target for path in literal for target in (path, f"{path}/{len(path)}/parts")]


def cpu_us(port: int, paths: Sequence[str], calls: int, process: psutil.Process) -> tuple[float, float]:
    """Microseconds of the process's CPU for one call, and the mean size of an answer in bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    before, size = process.cpu_times(), 0
    for path in islice(cycle(paths), calls):
        connection.request("GET", path)
        response = connection.getresponse()
        size += len(response.read())
        assert response.status == 200, path
    after = process.cpu_times()
    connection.close()
    return (after.user + after.system - before.user - before.system) / calls * 1e6, size / calls


def until_ready(port: int) -> None:
    until = time.monotonic() + READY_WITHIN_S
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
            connection.request("GET", READY_PATH)
            if connection.getresponse().status == 200:
                return
        except OSError:
            assert time.monotonic() < until, "the fakes never answered"
            time.sleep(0.05)


def main() -> int:
    options = read_options(__doc__, rounds=5, short_rounds=2)
    calls = SHORT_CALLS if options.short else CALLS
    with tempfile.TemporaryDirectory() as folder, PortLease() as lease:
        ports = (lease.take(), lease.take())
        path = Path(folder, "scenario.yaml")
        path.write_text(scenario(), encoding="utf-8")
        plan = dry_plan(load_scenario(path).checked)[0]
        upstreams = [
            each.model_copy(update={"origin": each.origin.model_copy(update={"port": port})})
            for each, port in zip(plan.upstreams, ports, strict=True)
        ]
        plan.model_copy(update={"upstreams": tuple(upstreams)}).write(Path(folder))
        fakes = subprocess.Popen([sys.executable, "-P", "-m", "fake_backends", folder])
        try:
            for port in ports:
                until_ready(port)
            rounds = [_round(ports, calls, psutil.Process(fakes.pid)) for _ in range(options.rounds)]
        finally:
            fakes.terminate()
            fakes.wait(timeout=10)
    print("| fake | bytes an answer | µs of CPU a call | least | most | ratio | limit |")
    print("|---|---|---|---|---|---|---|")
    usual = statistics.median(catalog for (catalog, _), _ in rounds)
    for name, index in (("generic", 0), (f"{ROUTES} routes", 1)):
        costs = [each[index][0] for each in rounds]
        median = statistics.median(costs)
        size = rounds[0][index][1]
        limit = f"{LIMIT:g}" if index else ""
        ratio = median / usual
        print(f"| {name} | {size:,.0f} | {median:.0f} | {min(costs):.0f} | {max(costs):.0f} | {ratio:.2f} | {limit} |")
    return options.exit_code(holds=ratio <= LIMIT)


def _round(ports: Sequence[int], calls: int, process: psutil.Process) -> tuple[tuple[float, float], ...]:
    return cpu_us(ports[0], ["/offers"], calls, process), cpu_us(ports[1], targets(), calls, process)


if __name__ == "__main__":
    sys.exit(main())
