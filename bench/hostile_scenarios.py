"""Scenarios that were written to hurt: texts the fuzzer mutates, and files that are hostile as they stand.

`SOUND` are right, or nearly, and use every corner of the language; they and the catalog are what mutation starts
from. `MONSTERS` are each one attack: on the parser's time, its stack, its memory, or on whoever prints its message.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

RICH: Final = """\
name: rich
seed: 3
tags: [a]
service: {command: "sh {port} ${HOME:-x}", env: {A: "{azure.url}"}, headers: {H: v}, ready: GET /up within 5s}
upstreams: {azure: {p50: 60ms, p99: 140ms, port: 4001, rows: 40, page: 10}, gcp: {}}
gateway: {timeout: 5s, kind: client}
load:
  stages: [{rate: 40/s, for: 100s}, {rate: 80/s, for: 400s, shape: ramp}]
  arrivals: constant
  requests: [{name: a, request: POST /a, json: {x: 1}, weight: 2, asks: [gcp], expect: {status: 200}}, GET /b]
  warmup: 3s
  baseline: 65s
  recovery: 60s
  guard: 2s
  ok: 200-299
faults:
  - {upstream: azure, latency: 60s, jitter: 1s, for: 60s, name: slow}
  - {upstream: [azure, gcp], bandwidth: 1kB/s, for: 60s, share: 60%}
  - {upstream: all, slicer: {size: 100B, delay: 50ms}, for: 8s, every: 20s}
gates: [p99 < 1.5x baseline during slow, recovery < 10s after slow, 'calls to gcp for "GET /b" < 2', errors for a < 2%]
verdict: {confidence: 90%, clump: 50ms, runs: 2}
matrix: {vary: {gateway.timeout: [5s, 6s], seed: [1, 2]}, expect: {5s/1: [fail]}}
"""
TIMED: Final = """\
name: timed
service: {url: "http://127.0.0.1:8000", headers: {Authorization: "Bearer ${HOME}"}}
upstreams:
  one: {}
  two: {p50: 1ms, p99: 2ms, capacity: 4}
gateway: {kind: none}
load:
  users: 20
  request: {request: GET /x, headers: {A: "{one.url}"}, expect: {contains: ok}}
  complete: {jmespath: "offers[?price > `1`].backend"}
  duration: 400s
faults:
  - {upstream: one, toxic: {type: timeout, attributes: {timeout: 0}}, at: 60s, for: 80s}
  - {upstream: two, down: true, at: 100s, for: 30s, name: two-gone}
  - {upstream: all, reset: 0ms, at: 200s, for: 20s, every: 40s}
  - {upstream: two, limit_data: 10B, at: 150s, for: 20s}
gates:
  - p99(ok) < 2s
  - throughput > 1/s
"""
ANCHORED: Final = """\
name: &n anchored
service: &s {command: [sh, "--port", "{port}"], ready: GET /ready, env: &e {X: &x "1", Y: *x}, headers: *e}
upstreams: {azure: &u {p50: 60ms, p99: 140ms}, gcp: *u, aws: *u}
gateway: {timeout: 2s}
load: {request: POST /, headers: *e, rate: 40/s, baseline: 65s}
faults: [&f {upstream: azure, hang: true, for: 65s}]
gates: &g
  - |-
    p99 < gateway.timeout
    during azure-hang
  - "errors \\x3c 1%"
toxiproxy: {url: "http://127.0.0.1:8474"}
"""
FAKED: Final = """\
name: faked
service: {command: "sh {port}"}
upstreams:
  a: {profile: {pareto: {least: 50ms, p99: 2s}}, capacity: 100, provider: vultr, page: 50}
  b: {profile: {uniform: {low: 100ms, high: 300ms}}, provider: lambda}
  c: {profile: {normal: {mean: 200ms, deviation: 40ms}}, provider: vastai}
  d: {profile: {constant: 200ms}}
gateway: {timeout: 5s, kind: client}
load: {request: GET /v1/offers, rate: 40/s, duration: 900s}
faults:
  - {upstream: a, status: 503, retry_after: 2s, share: 30%, at: 60s, for: 60s}
  - {upstream: all but a, drip: 30s, at: 60s, for: 60s}
  - {upstream: a, truncate: 50%, share: 40%, at: 60s, for: 60s}
  - {upstream: [b, c], malformed: true, at: 200s, for: 20s}
  - {upstream: d, wrong_schema: true, at: 200s, for: 20s}
  - {upstream: all, slow_spells: {latency: 2s, every: 10s, last: 2s}, at: 300s, for: 60s}
  - {upstream: a, ramp: 0ms → 5s over 60s, at: 400s, for: 80s}
  - {upstream: a, cold_start: 8s, at: 500s, for: 30s}
  - {upstream: b, capacity: 5, at: 600s, for: 60s, name: b-small}
  - {upstream: b, huge: 20MB, at: 700s, for: 60s}
  - {upstream: c, redirect_loop: true, at: 700s, for: 60s}
  - {upstream: d, empty: true, at: 700s, for: 60s}
  - {upstream: d, latency: 2s, share: 50%, at: 780s, for: 60s}
gates: [p99 < gateway.timeout during b-small, errors < 60% during a-status]
"""
SOUND: Final = {"rich.yaml": RICH, "timed.yaml": TIMED, "anchored.yaml": ANCHORED, "faked.yaml": FAKED}


def _least(**sections: str) -> str:
    """The shortest scenario, with sections of its own."""
    least = {
        "name": "least",
        "service": "{rung: timeout}",
        "upstreams": "{azure: {}}",
        "load": "{request: GET /, rate: 40/s}",
    }
    return "".join(f"{key}: {value}\n" for key, value in {**least, **sections}.items())


def _laughs(levels: int) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz"[:levels]
    lines = [f"{letters[0]}: &{letters[0]} [{', '.join(['ha'] * 9)}]"]
    for before, letter in pairwise(letters):
        lines.append(f"{letter}: &{letter} [{', '.join([f'*{before}'] * 9)}]")
    return "\n".join(lines)


def _many(text: str, count: int) -> str:
    return f"[{', '.join([text] * count)}]"


MONSTERS: Final[dict[str, str | bytes]] = {
    # time, stack and memory of the parser
    "billion-laughs": _laughs(12),
    "an-alias-in-itself": "name: &a [*a]",
    "an-alias-in-itself-by-key": "name: &a {? *a : 1}",
    "brackets-10000-deep": "[" * 10_000,
    "braces-10000-deep": "name: " + "{a: " * 10_000 + "}" * 10_000,
    "dashes-10000-deep": "- " * 10_000,
    "indents-400-deep": "".join(f"{' ' * depth}a:\n" for depth in range(400)),
    "questions-10000-deep": "? " * 10_000,
    "json-300-deep": _least(load="{rate: 40/s, request: {request: POST /, json: " + "[" * 300 + "]" * 300 + "}}"),
    "half-a-megabyte-of-lists": "- a\n" * 120_000,
    "half-a-megabyte-of-keys": "".join(f"k{number}: 1\n" for number in range(50_000)),
    "a-line-of-900-kilobytes": _least(name="x" * 900_000),
    "ten-megabytes-in-one-line": "name: " + "x" * 10_000_000,
    "a-megabyte-of-comments": "#\n" * 400_000,
    # time of what looks at the tree
    "a-matrix-of-ten-billion-cells": _least(
        matrix="{vary: {" + ", ".join(f"load.headers.h{n}: {list(range(10))}" for n in range(10)) + "}}"
    ),
    "a-hundred-cells": _least(matrix=f"{{vary: {{seed: {list(range(100))}}}}}"),
    "a-hundred-cells-of-a-hundred-problems": _least(
        matrix=f"{{vary: {{seed: {list(range(100))}}}}}",
        faults=_many("{upstream: nobody, latency: 60, for: 65s, at: 1}", 100),
    ),
    "a-line-of-colons-that-is-not-closed": 'name: x\nservice: {url: "http' + "://127.0.0.1" * 70_000,
    "five-thousand-faults": _least(faults=_many("{upstream: azure, latency: 60s, for: 65s}", 5_000)),
    "thousands-of-windows": _least(
        load="{request: GET /, rate: 40/s, duration: 24h}",
        faults=_many("{upstream: azure, down: true, at: 0s, for: 1s, every: 100s}", 60),
    ),
    "five-thousand-gates": _least(gates=_many("errors < 1%", 5_000)),
    "five-thousand-requests": _least(load="{rate: 40/s, requests: " + _many("GET /x", 5_000) + "}"),
    "five-thousand-stages": _least(load="{request: GET /, stages: " + _many("{rate: 1/s, for: 1s}", 5_000) + "}"),
    "five-thousand-unknown-keys": _least(load="{" + ", ".join(f"raet{n}: 40/s" for n in range(5_000)) + "}"),
    "five-thousand-upstreams": _least(upstreams="{" + ", ".join(f"u{n}: {{}}" for n in range(5_000)) + "}"),
    "a-key-of-200-kilobytes": _least() + f"{'load' * 50_000}: 1\n",
    "a-gate-of-200-kilobytes": _least(gates=f'["{"p99 < 1s during " * 12_000}"]'),
    "a-gate-word-of-200-kilobytes": _least(gates=f'["{"complete" * 25_000} > 1%"]'),
    "variables-that-never-close": _least(service='{command: "sh {port} ' + "${A:-" * 100_000 + '"}'),
    "braces-that-never-close": _least(service='{command: "sh {port} ' + "{" * 300_000 + '"}'),
    "quotes-that-never-close": _least(service="{command: 'sh {port} " + '"' * 300_001 + "'}"),
    "a-jmespath-10000-deep": _least(load="{request: GET /, rate: 1/s, complete: {jmespath: '" + "[" * 10_000 + "'}}"),
    "a-jmespath-of-nots": _least(load="{request: GET /, rate: 1/s, complete: {jmespath: '" + "!" * 10_000 + "a'}}"),
    "a-jmespath-of-no-number": _least(load="{request: GET /, rate: 1/s, complete: {jmespath: '`{`'}}"),
    # numbers
    "a-number-of-5000-digits": _least(seed="9" * 5_000),
    "a-duration-of-5000-digits": _least(gateway=f"{{timeout: {'9' * 5_000}s}}"),
    "a-size-of-400-digits": _least(faults=f"[{{upstream: azure, huge: {'9' * 400}MB, for: 65s}}]"),
    "infinity-and-nan": _least(seed=".inf", verdict="{confidence: .nan, runs: -.inf}"),
    "1e400": _least(seed="1e400", verdict="{runs: 1e400}"),
    "a-share-next-to-nothing": _least(
        faults=f"[{{upstream: azure, latency: 60s, for: 65s, share: 0.{'0' * 320}1%}}]",
        load="{request: GET /, rate: 40/s}",
    ),
    "a-gate-next-to-nothing": _least(gates=f"[p99.{'9' * 300} < 1s, errors < 0.{'0' * 320}1%]"),
    "a-rate-next-to-nothing": _least(load=f"{{request: GET /, rate: 0.{'0' * 320}1/s}}"),
    "digits-of-another-script": _least(gateway="{timeout: ٣٠s}", load="{request: GET /, rate: ४०/s}"),
    # what YAML can say and a scenario must not
    "a-python-object": "!!python/object/apply:os.system [id]",
    "a-tag-of-their-own": "%TAG !e! tag:example.org,2000:\n---\nname: !e!thing x",
    "yaml-3": "%YAML 3.0\n---\nname: x",
    "two-documents": f"{_least()}---\n{_least()}",
    "a-merge-key": f"base: &b {{rung: timeout}}\n{_least(service='{<<: *b}')}",
    "an-anchor-used-twice": "name: &a x\ntags: [&a y, *a]",
    "an-alias-of-nothing": "name: *nobody",
    "keys-that-are-no-text": "{[a, b]: 1, {c: d}: 2, ? : 3, null: 4, 5: 6, true: 7}",
    "a-date-and-an-octal": _least(name="2001-01-01", seed="0o17", tags="[0x1F, 1_000, 12:30:45]"),
    "a-tab-for-an-indent": "name: x\nload:\n\trate: 40/s",
    # characters
    "nul-in-quotes": _least(name='"a\\0b"', service='{command: "sh {port} \\0"}'),
    "a-lone-surrogate": _least(name='"a\\ud800b"', gates='["p99 < \\udfff"]'),
    "escape-sequences": _least(name='"\\e]52;c;aGk=\\a\\e[2J"', gates='["\\e[31m < 1s"]'),
    "bidi-and-zero-width": _least(name='"\u202eevil\u2066\u200b"', tags="[\u2067x]", gates="[p99\u200b < 1s]"),
    "a-line-separator": _least(name='"a\u2028b\u2029c\u0085d"', tags="[x\u2028y]"),
    "a-header-that-holds-another": _least(service='{rung: timeout, headers: {"A\\r\\nB": "c\\r\\nX-Evil: d"}}'),
    "an-environment-that-is-none": _least(service='{rung: timeout, env: {"A=B": x, "": y, "C\\0": "z\\0"}}'),
    "a-name-that-is-a-path": _least(name="../../../etc/passwd"),
    "a-name-of-dots": _least(name='".."'),
    "a-message-that-forges-lines": _least(name='"x\\nPASS good .runs/x\\n"', gates='["p99 <\\nerror: gone\\n 1s"]'),
    "rich-markup": _least(name="'[bold red]x[/]'", gates="['[link=x]p99[/] < 1s']"),
    # encodings
    "nothing": b"",
    "nul-bytes": b"\0" * 1000,
    "utf-16": "name: x".encode("utf-16"),
    "utf-32": "name: x".encode("utf-32"),
    "latin-1": "name: caf\xe9".encode("latin-1"),
    "overlong-utf-8": b"name: \xc0\xaf",
    "a-surrogate-in-utf-8": b"name: \xed\xa0\x80",
    "a-byte-order-mark-inside": f"{_least()}# \ufeff\nseed: \ufeff1\n",
    "carriage-returns-alone": _least().replace("\n", "\r"),
    "an-executable": b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 4,
}
