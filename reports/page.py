"""Renders the HTML pages: one file each, everything inlined, nothing from the network, everything escaped.

Strings pass `shown` on their way into a template, then autoescape. The policy in the page's head names
each script by its digest, so a script that came in by a name or a log line would not run even if it
were not escaped.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup

from harness import __version__
from reports import formatting
from reports.charts.gates import strip
from reports.redacted import shown

_WHOLE_MOST: Final = 500_000
_TEMPLATES: Final = Path(__file__).parent / "templates"
_FRAME: Final = "page.html.j2"
"""What every page extends."""
_FILTERS: Final = {
    "ms": formatting.ms,
    "rank": formatting.rank,
    "cut_off_ms": formatting.cut_off_ms,
    "share": formatting.share,
    "count": formatting.count,
    "number": formatting.number,
    "seconds": formatting.seconds,
    "observed": formatting.observed,
    "interval": formatting.interval,
    "limit": formatting.limit,
    "losses": formatting.losses,
    "sample": formatting.sample,
    "strip": strip,
}


def render(template: str, context: Mapping[str, Any], *, chart: bool) -> str:
    """The page's text. `chart` brings uPlot along; without it the page carries the theme's few lines alone."""
    names = ("vendor/uplot.iife.min.js", "timeline.js", "theme.js") if chart else ("theme.js",)
    scripts = [_asset(name) for name in names]
    return (
        _environment()
        .get_template(template)
        .render(
            policy=_policy(scripts),
            scripts=[Markup(script) for script in scripts],
            css=Markup(_asset("style.css")),
            vendor_css=Markup(_asset("vendor/uplot.min.css") if chart else ""),
            tool={"version": __version__},
            icon=formatting.ICON,
            words=formatting.WORD,
            **context,
        )
    )


def prepare_template(template: str) -> None:
    """Compile the template and the one that it extends, which takes longer than to render it. `render` does it
    otherwise."""
    for name in (_FRAME, template):
        _environment().get_template(name)


def embedded_json(value: Any) -> Markup:
    """JSON for a `<script type="application/json">`: no character in it can end the element."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def whole(text: str) -> Markup:
    """A text that is long by nature (a configuration, the end of a log): shown, escaped, and not cut."""
    return Markup.escape(shown(text, most=_WHOLE_MOST))


def ticked(text: str) -> Markup:
    """Text with what stands between backticks set as code, everything escaped."""
    pieces = shown(text).split("`")
    if len(pieces) % 2 == 0:
        return Markup.escape(shown(text))
    return Markup().join(Markup("<code>{}</code>").format(p) if i % 2 else p for i, p in enumerate(pieces))


def _policy(scripts: list[str]) -> Markup:
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return Markup(
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(_FILTERS, ticked=ticked, whole=whole)
    return environment


def _shown(value: Any) -> Any:
    """Whatever a template prints: plain strings are from outside, Markup is ours."""
    return shown(value) if type(value) is str else value


@cache
def _asset(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8").strip()
