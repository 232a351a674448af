"""Values, keys, bytes and paths that nobody means to write into a scenario, for whoever mutates one."""

from __future__ import annotations

from typing import Any, Final


class Raw(str):
    """Written into the YAML as it stands."""


NASTY: Final[tuple[Any, ...]] = (
    *map(Raw, (
        "", "~", "null", "true", "no", "NaN", ".nan", ".inf", "-.inf", "0", "-0", "-1", "1", "1.0", "0x1F", "0o17",
        "1_000", "1e400", "-1e400", "1e-400", "9" * 400, "0." + "0" * 400 + "1", "1e9", "12:30:45", "2001-01-01",
        "2001-13-45T99:99", "[]", "{}", "[[]]", "[{}]", "{a: }", "{? [a] : 1}", "{[a]: 1}", "{}}", "[", "{", "- a",
        "? a", ": a", "&a", "*a", "&a [*a]", "&a {a: *a}", "&a x", "!x", "!!str 1", "!!int x",
        "!!python/object/apply:os.system [id]", "!!binary aGk=", "!!set {a, b}", "!!timestamp 2001-01-01", "<<",
        "{<<: *a}", "|\n  x", ">-\n  x", "|99\n x", "'", '"', "'a''b'", "#", "%", "@", "`", "---", "...", "x: y: z",
        "{port}", "${X}", "[" * 200, "{a: " * 100, "[a, [b, [c]]]", "*" * 50,
    )),
    "", " ", "\t", "\n", "a\nb", "\0", "a\0b", "\x1b[2J", "\x1b]8;;http://x\x07y", "\x9b31m", "\x7f", "\u202ea",
    "\u2066a", "\u200b", "\ufeff", "\u2028", "\ud800", "\udfffx", "😀", "e\u0301" * 30, "ﷺ" * 20,
    "ｆｕｌｌ", "x" * 5_000,
    "a b " * 2_000, "0s", "1ns", "-1s", "1e9h", "1000000000h", "24h", "24.0001h", "99999999999999999999s", ".5s",
    "1.s", "1 s", "٣s", "५/s", "1s1s", "1S", "1e3s", "infs", "nans", "0/s", "1e-300/s", "100000/s", "100001/s",
    "1/h", "0%", "100%", "100.1%", "-1%", "1e-9%", "0.00000000001%", "0B", "1GB", "1e99B", "1B/s", "{port}",
    "{azure.url}", "{azure.nope}", "{", "}", "{{", "${", "${X:-${Y}}", "${HOME}", "${NOPE_NOT_SET}", "all", "azure",
    "gcp", "whole", "baseline", "main", "nobody", "GET /", "GET  /x", "get /", "GET http://x/y", "TRACE /",
    "GET /\r\nX: y", "GET /\x00", "GET /ünï", "/", "//", "..", "../..", "/dev/zero", "/dev/stdin", "~nobody/x", "~",
    ".", "scenario.yaml", "x" * 300, "http://", "http://[::1", "http://[::1]:99999", "http://x:0", "http://a@b",
    "http://\u2100", "file:///etc/passwd", "ftp://x", "http://x/%00", "p99 < 1s", "p99.999 < 1s during slow",
    "p0 < 1s", "p100 < 1s", "p99 < 1e999s", "recovery < 1h after slow", "recovery < 1s after",
    "throughput > 1/s after slow", "calls < 0",
    'calls for "a" < 1', 'errors for "', "complete > 99% during azure-latency", "p99 < 1x main", "p99 < 0x baseline",
    "ok < 1%",
    "0ms → 5s over 60s", "5s -> 0s over 0s", "0ms → 24h over 24h", "all but", "all but azure", "all but nobody",
    "599", 599, 600, "99%", "200-399", "399-200", "200,200", "٢٠٠", "[0]", "a.b", "a[0].b", "a[999999]", "load.rate",
    "@", "`{`", "a[?b]", "!" * 200, 0, 1, -1, 2**31, 2**63, 2**64, -(2**63), 10**29, 0.1, -0.0, 1e300, True, False,
    None,
)  # fmt: skip
KEYS: Final = (
    "name", "seed", "extends", "tags", "service", "upstreams", "gateway", "load", "faults", "gates", "verdict",
    "toxiproxy", "matrix", "rung", "command", "url", "without", "env", "cwd", "ready", "headers", "p50", "p99",
    "provider", "rows", "page", "capacity", "port", "proxy", "kind", "timeout", "rate", "users", "stages", "replay",
    "arrivals", "request", "requests", "locustfile", "data", "warmup", "baseline", "recovery", "duration", "drain",
    "guard", "max_in_flight", "ok", "complete", "jmespath", "body", "json", "weight", "asks", "expect", "status",
    "contains", "at", "for", "every", "upstream", "stream", "share", "latency", "jitter", "bandwidth", "hang",
    "reset", "slow_close", "slicer", "size", "delay", "limit_data", "down", "toxic", "type", "attributes", "drip",
    "truncate", "confidence", "clump", "inconclusive", "runs", "vary", "shape", "ramp", "profile", "pareto",
    "uniform", "normal", "constant", "lognormal", "empirical", "least", "low", "high", "mean", "deviation",
    "retry_after", "malformed", "wrong_schema", "empty", "huge", "redirect_loop", "cold_start", "slow_spells",
    "last", "lacks", "login", "save", "token",
)  # fmt: skip
SNIPPETS: Final = (
    b"\t", b"\0", b"\x1b[31m", b"\xff", b"\xc3", b"\xe2\x80\xae", b"\xef\xbb\xbf", b"\r", b"{", b"}", b"[", b"]",
    b": ", b", ", b"&a ", b"*a ", b"!x ", b"- ", b"? ", b"| ", b"> ", b"#", b'"', b"'", b"%YAML 1.1\n---\n",
    b"\n---\n", b"\n...\n", b"<<: ", b"\xc2\x85", b"\xe2\x80\xa8", b"${", b"{{", b"9" * 40, b"x" * 2_000, b"\\",
    b"\\x", b"\\ud800", b"\xf4\x90\x80\x80",
)  # fmt: skip
PATHS: Final = (
    "load.rate", "faults[0].for", "faults[9].for", "gates[0]", "gates", "service.env.X", "matrix.vary", "name", "",
    ".", "a..b", "[0]", "load.rate[0]", "faults.for", "x\ny", "\udcff", "gateway.timeout.more", "a." * 500 + "a",
    "\x1b[2J", "upstreams.azure",
)  # fmt: skip
