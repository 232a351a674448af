"""nginx as the gateway: it answers real 504s, and measures latency independently of the load generator.

Every directive that matters is written out, because defaults differ between versions. nginx runs with and without root,
writes below the run directory only, and never retries a request: a retry would measure a request at another time than
planned.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from harness.errors import RigError
from harness.rundir.manifest import HarnessFault, part_of
from harness.rundir.plan import StackPlan
from harness.secrets.expand import Expander
from harness.stack.child_log import log_tail
from harness.stack.process_spec import ProcessSpec
from harness.stack.processes import probe
from harness.stack.processes.process import ChildProcess

NAME: Final = "gateway"
READY_WITHIN_S: Final = 5.0
GRACE_S: Final = 1.0
ACCESS_LOG: Final = "gateway.ndjson"
_SWITCH_S: Final = 3.0
_LINK: Final = "access.ndjson"
"""The name of the access log in nginx's configuration: a link to the access log of the current load."""

_TROUBLE: Final = re.compile(
    r"write\(\) to .* failed|exited on signal|worker_connections are not enough|Too many open files|"
    r"No space left on device|\[emerg\]"
)
_LOG_FIELDS: Final = (
    ("time_s", "$msec"),
    ("seq", '"$http_x_tailgate_seq"'),
    ("method", '"$request_method"'),
    ("uri", '"$request_uri"'),
    ("status", "$status"),
    ("request_s", "$request_time"),
    ("upstream_status", '"$upstream_status"'),
    ("upstream_connect_s", '"$upstream_connect_time"'),
    ("upstream_header_s", '"$upstream_header_time"'),
    ("upstream_s", '"$upstream_response_time"'),
    ("bytes", "$body_bytes_sent"),
)


def spec(plan: StackPlan, run_dir: Path, environ: Mapping[str, str], expand: Expander) -> ProcessSpec | None:
    """How nginx is started; None if the plan has no nginx gateway. Also writes the configuration. Raises OSError."""
    if plan.gateway.kind != "nginx":
        return None
    folder = run_dir.resolve() / "control" / "nginx"
    folder.mkdir(parents=True, exist_ok=True)
    _relink(folder / _LINK, run_dir.resolve() / ACCESS_LOG)
    config = folder / "nginx.conf"
    config.write_text(render(plan, expand(plan.service.url), folder), encoding="utf-8")
    argv = (plan.gateway.binary or "nginx", "-p", f"{folder}/", "-c", str(config))
    return ProcessSpec(NAME, argv, dict(environ), folder, run_dir / "logs" / f"{NAME}.log", keep_signals=True)


async def ready(plan: StackPlan, child: ChildProcess, headers: Mapping[str, str]) -> float:
    """Milliseconds until the service answers through the gateway that it is ready. Raises RigError."""
    url = f"{plan.gateway.target}{plan.service.ready_path}"
    try:
        return await probe.until_answered(
            url, within_s=READY_WITHIN_S, child=child, method=plan.service.ready_method, headers=headers
        )
    except probe.NotReady as exc:
        raise RigError(
            f"the gateway (nginx on port {plan.gateway.port}) did not get ready: {exc}"
            + "".join(f"\n  {line}" for line in child.log_excerpt()),
            f"see {child.log_place}; `gateway: {{kind: client}}` does without nginx",
            part=part_of(NAME),
        ) from exc


async def switch_log(child: ChildProcess, to: Path | None) -> None:
    """Let nginx flush its access log and continue in the file `to`; None: in a file that is not kept.

    Raises RigError if it does not within a few seconds.
    """
    folder = child.spec.cwd
    target = (to or folder / "between-loads.ndjson").resolve()
    target.unlink(missing_ok=True)  # when it exists again, nginx has switched
    _relink(folder / _LINK, target)
    os.kill(child.pid, signal.SIGUSR1)
    give_up = time.monotonic() + _SWITCH_S
    while not target.exists():
        if not child.alive or time.monotonic() > give_up:
            raise RigError(
                f"the gateway did not open {target.name} for the next load",
                f"see {child.log_place}",
                part=part_of(NAME),
            )
        await asyncio.sleep(0.01)


def _relink(link: Path, target: Path) -> None:
    """Let `link` point to `target`, atomically, so that nginx always finds a link."""
    draft = link.with_suffix(".new")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.replace(link)


def version(plan: StackPlan) -> str:
    """The version of nginx, such as `1.22.1`; empty if nginx does not print it. Blocks for a moment."""
    try:
        printed = subprocess.run(
            [plan.gateway.binary or "nginx", "-v"], capture_output=True, text=True, timeout=READY_WITHIN_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return printed.stderr.strip().rpartition("/")[2]


def troubles(log: Path, since_bytes: int = 0) -> list[HarnessFault]:
    """What the log reports, from `since_bytes` on, about the gateway itself and not about the service behind it."""
    found = [line for line in log_tail(log, 200, since_bytes) if _TROUBLE.search(line)]
    if not found:
        return []
    return [
        HarnessFault(
            check="workers",
            message=f"the gateway had trouble of its own ({len(found)} lines), first: {found[0]}",
            fix="make room on the disk or raise the open-file limit (ulimit -n), then run again",
            part=part_of(NAME),
        )
    ]


def render(plan: StackPlan, service_url: str, folder: Path) -> str:
    """The text of nginx.conf. `master_process off`: one process keeps its environment, by which orphans are found."""
    timeout_ms = math.ceil(plan.gateway.timeout_ms or 60_000)
    connections = max(1024, math.ceil(2.5 * plan.most_in_flight) + 64)
    temp = "\n".join(
        f"    {kind}_temp_path {_quoted(folder / f'{kind}-temp')};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    fields = ",".join(f'"{name}":{value}' for name, value in _LOG_FIELDS)
    return f"""\
daemon off;
master_process off;
pid {_quoted(folder / "nginx.pid")};
error_log stderr warn;
events {{
    worker_connections {connections};
    multi_accept on;
}}
http {{
{temp}
    log_format tailgate escape=json '{{{fields}}}';
    access_log {_quoted(folder / _LINK)} tailgate buffer=64k flush=1s;
    default_type application/octet-stream;
    server_tokens off;
    sendfile off;
    tcp_nodelay on;
    gzip off;
    keepalive_timeout 3600s;
    keepalive_requests 1000000;
    reset_timedout_connection off;
    client_header_timeout 60s;
    client_body_timeout 60s;
    send_timeout 60s;
    client_max_body_size 0;
    client_body_buffer_size 1m;
    client_header_buffer_size 8k;
    large_client_header_buffers 8 64k;
    server {{
        listen 127.0.0.1:{plan.gateway.port} backlog=4096;
        merge_slashes off;
{_location(service_url, timeout_ms)}    }}
}}
"""


def _location(service_url: str, timeout_ms: int) -> str:
    """How nginx passes requests on to the service: as they are, once, and with an answer within `timeout_ms`."""
    host = urlsplit(service_url).netloc.rpartition("@")[2]
    return f"""\
        location / {{
            proxy_pass {urlsplit(service_url).scheme}://{_address(service_url)};
            proxy_http_version 1.1;
            proxy_set_header Host {_quoted(host)};
            proxy_set_header Connection close;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_connect_timeout {timeout_ms}ms;
            proxy_send_timeout {timeout_ms}ms;
            proxy_read_timeout {timeout_ms}ms;
            proxy_next_upstream off;
            proxy_request_buffering on;
            proxy_buffering on;
            proxy_buffer_size 64k;
            proxy_buffers 32 64k;
            proxy_busy_buffers_size 128k;
            proxy_max_temp_file_size 0;
            proxy_ignore_client_abort off;
            proxy_intercept_errors off;
            proxy_redirect off;
            proxy_cache off;
            proxy_ssl_server_name on;
        }}
"""


def _address(url: str) -> str:
    """host:port of the service. `localhost` becomes 127.0.0.1: it may mean ::1 first, and nginx does not try a second
    address here."""
    parts = urlsplit(url)
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or "127.0.0.1"
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _quoted(value: Path | str) -> str:
    """`value` as a quoted word of the configuration. Raises RigError for characters that nginx would misread."""
    text = str(value)
    if any(char in text for char in '"\\$\n;{}'):
        raise RigError(f"nginx cannot be configured with `{text}`", "choose a run directory without special characters")
    return f'"{text}"'
