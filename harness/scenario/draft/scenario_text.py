"""A draft as the text of a scenario: written for reading, with a comment for each thing that is not known. Pure."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final

from harness.scenario.draft.parts import Draft, DraftService, DraftUpstream, variable_name
from harness.text import enumerated, one_line

WIDTH: Final = 110
COMMENT_MOST: Final = 2_000
"""Characters of one comment."""
NAMED_MOST: Final = 6
"""Upstreams that a comment names one by one."""
_PLAIN: Final = re.compile(r"(?:/|\./|\.\./|--?)?[A-Za-z_][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./?=&%-]+)*")
_PLAIN_URL: Final = re.compile(r"[a-z]+://[A-Za-z0-9_.@:/?=&%${}-]*[A-Za-z0-9_/}]")
"""Not inside braces, where YAML would read its own as a mapping."""
_PLAIN_WORD: Final = re.compile(r"[A-Za-z0-9_./:=@%+,{}-]+")
_WORDS: Final = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
_NOT_PRINTED: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
PLACEHOLDER: Final = "echo 'write the command that starts your service, listening on port {port}' >&2; exit 1"


def scenario_text(draft: Draft) -> str:
    """The YAML. It validates as it is, once the variables in `draft.exports` are set and files are where they were."""
    return "\n".join([*_head(draft), *_service(draft), *_upstreams(draft), *_load(draft), *_faults(draft)]) + "\n"


def yaml_scalar(text: str) -> str:
    """The text as a YAML value, in quotes wherever another reading is possible."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    if '"' in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_NOT_PRINTED.sub(_escape, escaped)}"'


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _flow(value: Any) -> str:
    """The value in one line."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{yaml_scalar(str(key))}: {_flow(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_flow, value))}]"
    return str(value) if isinstance(value, int) else yaml_scalar(str(value))


def _comment(text: str, indent: int = 0) -> Iterator[str]:
    before = f"{' ' * indent}# "
    yield from textwrap.wrap(
        one_line(text, COMMENT_MOST),
        WIDTH,
        initial_indent=before,
        subsequent_indent=before,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _comments(texts: tuple[str, ...], indent: int) -> Iterator[str]:
    for text in texts:
        yield from _comment(text, indent)


# ---------------------------------------------------------------- the sections


def _head(draft: Draft) -> Iterator[str]:
    yield from _comment(f"Made from {', '.join(draft.sources)} by `tailgate init`; it validates as it is.")
    yield from _comment(
        "Before the first run, go through the lines with CHECK: each says what the files could not tell."
    )
    if draft.exports:
        exports = " ".join(f"{name}=…" for name in draft.exports)
        yield from _comment(f"Export first, so that no password stands in this file: export {exports}")
    if draft.left_out:
        yield from _comment("Left out:")
        for text in draft.left_out:
            yield from _comment(f"- {text}")
    yield f"name: {yaml_scalar(draft.name)}"
    yield ""


def _service(draft: Draft) -> Iterator[str]:
    service = draft.service
    yield "service:"
    yield from _comments(service.comments, 2)
    if service.url:
        yield f"  url: {yaml_scalar(service.url)}"
    elif service.command is None:
        yield from _comment("CHECK: how is the service started? Such as: uvicorn app:app --port {port}", 2)
        yield f"  command: [sh, -c, {yaml_scalar(PLACEHOLDER)}]"
    else:
        yield from _comment("CHECK: does this start the service, in the foreground?", 2)
        yield f"  command: {_command_line(service.command)}"
    if service.cwd:
        yield f"  cwd: {yaml_scalar(service.cwd)}"
    yield from _env(service)
    if service.ready:
        yield f"  ready: {yaml_scalar(service.ready)}"
    else:
        yield from _comment("CHECK: which request is answered with 200 to 399 once the service is ready?", 2)
        yield "  ready: GET /healthz within 30s"
    yield ""


def _command_line(words: tuple[str, ...]) -> str:
    """As a text where that is split into the same words, else as a list."""
    text = " ".join(words)
    is_plain = all(_PLAIN_WORD.fullmatch(word) for word in words) and words[0][:1].isalpha() and "=" not in words[0]
    return text if is_plain and text.lower() not in _WORDS and not re.search(r":(?: |$)", text) else _flow(words)


def _env(service: DraftService) -> Iterator[str]:
    if not service.env:
        return
    yield "  env:"
    for name, value in service.env.items():
        yield from _comments(service.env_comments.get(name, ()), 4)
        yield f"    {yaml_scalar(name)}: {yaml_scalar(value)}"


def _upstreams(draft: Draft) -> Iterator[str]:
    if not draft.upstreams:
        yield from _comment("CHECK: no backend is known that the service calls, so there is none to break.")
        yield ""
        return
    if draft.toxiproxy_url:
        yield from _comment("CHECK: where is the API of the Toxiproxy that has these proxies?")
        yield f"toxiproxy: {{url: {yaml_scalar(draft.toxiproxy_url)}}}"
        yield ""
    yield from _comment("What the service calls, each behind a Toxiproxy listener that faults are put on.")
    yield "upstreams:"
    for upstream in draft.upstreams:
        yield from _upstream(upstream)
    yield ""


def _upstream(upstream: DraftUpstream) -> Iterator[str]:
    yield from _comments(upstream.comments, 2)
    fields = upstream.fields
    if set(fields) == {"url"}:
        url = str(fields["url"])
        yield f"  {upstream.name}: {url if _PLAIN_URL.fullmatch(url) else yaml_scalar(url)}"
        return
    line = f"  {upstream.name}: {_flow(fields)}"
    if len(line) <= WIDTH and "routes" not in fields:
        yield line
        return
    yield f"  {upstream.name}:"
    for key, value in fields.items():
        if isinstance(value, Mapping):
            yield f"    {key}:"
            for inner, answer in value.items():
                yield f"      {yaml_scalar(inner)}: {_flow(answer)}"
        else:
            yield f"    {key}: {_flow(value)}"


def _load(draft: Draft) -> Iterator[str]:
    yield from _comment("CHECK: after which time does the gateway or load balancer before the service answer 504?")
    yield "gateway: {timeout: 10s}"
    yield ""
    yield "load:"
    yield from _comment("CHECK: the busiest rate that the service has to bear", 2)
    yield "  rate: 20/s"
    if not draft.requests:
        yield from _comment("CHECK: a request whose answer needs the upstreams", 2)
        yield "  request: GET /"
    else:
        yield from _comments(tuple(f"CHECK: {text}" for text in draft.request_comments), 2)
        yield from _requests(draft)
    yield "  warmup: 5s        # before t = 0; no gate counts it"
    yield "  baseline: 60s     # without a fault, to compare with"
    yield "  recovery: 40s     # after the fault"
    yield ""


def _requests(draft: Draft) -> Iterator[str]:
    if len(draft.requests) == 1 and not draft.requests[0].headers:
        yield f"  request: {yaml_scalar(draft.requests[0].line)}"
        return
    yield "  requests:"
    for request in draft.requests:
        if request.headers:
            yield f"    - {_flow({'request': request.line, 'headers': request.headers})}"
        else:
            yield f"    - {yaml_scalar(request.line)}"


def _faults(draft: Draft) -> Iterator[str]:
    broken = min(draft.upstreams, key=lambda upstream: upstream.rank, default=None)
    if broken is None:
        yield "gates:"
        yield from _comment("CHECK: the limits", 2)
        yield "  - p99 < 1s"
        yield "  - errors < 1%"
        return
    yield from _comment(
        "What breaks. Also: hang, down, reset, bandwidth, slicer, limit_data, slow_close (docs/scenarios.md)."
    )
    yield "faults:"
    yield _fault_line(broken)
    others = [upstream for upstream in draft.upstreams if upstream is not broken]
    if others:
        names = enumerated([other.name for other in others], NAMED_MOST)
        yield from _comment(
            f"CHECK: nothing breaks {names} yet. For those that the service must survive as well, remove the "
            "# here and before their gates below. The faults follow one another, so each makes the run longer.",
            2,
        )
        yield from (f"  # {_fault_line(other).strip()}" for other in others)
    yield ""
    yield "gates:"
    yield from _comment("CHECK: the limits. Each gate ends as pass, fail or inconclusive, at 95 % confidence.", 2)
    yield "  - p99 < 1s during baseline"
    yield from _gates_of(broken, "  - ")
    for other in others:
        yield from _gates_of(other, "  # - ")


def _gates_of(upstream: DraftUpstream, before: str) -> Iterator[str]:
    """The gates of the fault on this upstream, each after `before`."""
    kind, _ = _fault(upstream)
    window = f"{upstream.name}-{kind}"
    yield f"{before}p99 < gateway.timeout during {window}"
    yield f"{before}errors < 1% during {window}"
    yield f"{before}recovery < 15s after {window}"


def _fault_line(upstream: DraftUpstream) -> str:
    kind, value = _fault(upstream)
    return f"  - {{upstream: {upstream.name}, {kind}: {value}, for: 60s}}"


def _fault(upstream: DraftUpstream) -> tuple[str, str]:
    """A delay, which only a canary that gets an answer can prove; else a listener that refuses connections."""
    is_silent = str(upstream.fields.get("url", "")).startswith("tcp://")
    return ("down", "true") if is_silent else ("latency", "60s")


def default_env(upstreams: tuple[DraftUpstream, ...]) -> dict[str, str]:
    """Variables by the upstreams' names, where no file says what the service calls them."""
    return {f"{variable_name(upstream.name)}_URL": f"{{{upstream.name}.url}}" for upstream in upstreams}
