"""report.html: the run on one page. Gathers what the template shows; the words and figures come from elsewhere."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from harness.rundir.results import Results, UpstreamResult
from harness.units import format_count, format_duration, format_exact_duration, format_share, format_things
from reports import failures, formatting, frame, present, resources, validity
from reports.charts import over_time, percentiles
from reports.charts.percentiles import Curve
from reports.charts.plot import LogMs
from reports.detections import named_without_fault, who_was_named
from reports.history import Band, History, bands, history_of
from reports.page import embedded_json, prepare_template, render
from reports.quoted import quoted
from reports.redacted import redacted_document, shown
from reports.subject import Subject
from reports.timeline import Quantiles

FILES: Final = ("report.html",)
_TEMPLATE: Final = "report.html.j2"
_NOT_DRAWN: Final = ("warmup", "guard", "tail", "whole")
_MOST_REPLAYED: Final = 20
_UNMATCHED_MOST: Final = 20
_CALM_MS: Final = 20.0  # a wait below this is not worth a colour


def prepare() -> None:
    """What can be done before a run is over."""
    prepare_template(_TEMPLATE)


def write(subject: Subject, out: Path) -> list[Path]:
    path = out / FILES[0]
    path.write_text(page(subject), encoding="utf-8")
    return [path]


def _unmatched(results: Results) -> dict[str, Any]:
    """The first calls that the fakes do not support, and how many others there are."""
    shown = results.unmatched[:_UNMATCHED_MOST]
    return {"unmatched": shown, "unmatched_left_out": len(results.unmatched) - len(shown)}


def page(subject: Subject) -> str:
    results = subject.results
    history = history_of(subject)
    shading = bands(subject)
    curves = _curves(subject)
    context: dict[str, Any] = {
        "results": results,
        "title": results.scenario.name,
        "word": formatting.WORD[results.verdict].upper(),
        "tally": formatting.tally([gate.verdict for gate in results.gates]),
        "trust": validity.check_rows(subject),
        "broken": failures.findings(subject),
        "logs": failures.log_ends(subject),
        "default_gates": bool(subject.plan and subject.plan.default_gates),
        "subtitle": _subtitle(subject),
        "gateway_ms": subject.gateway_ms,
        "confidence": f"{subject.plan.verdict.confidence * 100:g} %" if subject.plan else "confidence",
        "history": history,
        "pooled": subject.pooled,
        "nothing": subject.trouble or "no arrival after the warm-up left a row.",
        "curves": curves,
        "slots": subject.plan.load.max_in_flight if subject.plan and subject.plan.load.model == "open" else None,
        **_resources(subject, shading),
        "upstream_rows": results.upstreams,
        "joined": _joined(subject),
        "facts": list(_facts(subject)),
        "configuration": _configuration(subject),
        "results_json": embedded_json(redacted_document(results.model_dump(mode="json"))),
        "fault_texts": {fault.name: fault.text for fault in (subject.plan.faults if subject.plan else ())},
        "witnessed": validity.witnessed,
        "proof_word": validity.proof_word,
        "who_was_named": who_was_named,
        "presence": present.table(results),
        "answers": list(quoted(subject)),
        **_unmatched(results),
        "false_alarms": named_without_fault(results.false_alarms),
        **_heat(results.upstreams, [each.name for each in sorted(results.phases, key=lambda each: each.start_ms)]),
    }
    if history:
        context |= _over_time(subject, history, shading)
    if curves:
        table = frame.percentiles(curves)
        context |= {
            "percentile_chart": percentiles.chart(percentiles.shown(curves), subject.gateway_ms),
            "percentiles_left_out": max(0, len(curves) - percentiles.CURVES_MOST),
            "percentile_columns": list(table.columns),
            "percentile_rows": [(name, row.tolist()) for name, row in table.iterrows()],
        }
    return render(_TEMPLATE, context, chart=history is not None)


def _resources(subject: Subject, shading: Sequence[Band]) -> dict[str, Any]:
    return {
        "resource_charts": resources.charts(subject, shading),
        "cores_card": resources.cores_card(subject, shading),
        "cost_rows": list(resources.table(subject.results.cost)),
    }


def _curves(subject: Subject) -> list[Curve]:
    if subject.evidence is None or subject.evidence.manifest.t0_ns is None:
        return []
    names = [phase.name for phase in subject.evidence.phases if phase.intervals and phase.name not in _NOT_DRAWN]
    names = names or ["whole"]
    found = [percentiles.curve(name, subject.evidence.window(name).samples) for name in names]
    return [each for each in found if each]


def _over_time(subject: Subject, history: History, shading: Sequence[Band]) -> dict[str, Any]:
    data = timeline_data(history, shading, subject.gateway_ms)
    table = frame.timeline(history)
    rows = [
        (
            f"{row[0]:.1f} s",
            f"{row[1]:.1f} s",
            format_count(int(row[2])),
            format_count(int(row[3])),
            *map(formatting.ms, row[4:]),
        )
        for row in table.itertuples(index=False, name=None)
    ]
    worst = max((value for value in history.end_to_end.value_ms.tolist() if not math.isnan(value)), default=0.0)
    faults = "; ".join(
        f"{band.label} from {formatting.seconds(band.start_ms)} to {formatting.seconds(band.end_ms)}"
        for band in shading
    )
    return {
        "timeline": data,
        "timeline_json": embedded_json(data),
        "timeline_label": f"p99 over time, at most {format_duration(worst)}; faults: {faults or 'none'}. "
        "Arrow keys move the cursor.",
        "width": format_exact_duration(history.bins.width_ms),
        "left_out": history.left_out,
        "columns": list(table.columns[4:]),
        "table": rows,
        "outcome_chart": over_time.outcomes(history, shading),
        "outcome_keys": [
            (over_time.outcome_css(kind), formatting.OUTCOME_WORD[kind.name.lower()], n)
            for kind, n in over_time.outcome_totals(history)
        ],
        "throughput_chart": over_time.throughput(history, shading),
        "in_flight_chart": over_time.in_flight(history, shading),
    }


def timeline_data(history: History, shading: Sequence[Band], gateway_ms: float | None) -> dict[str, Any]:
    """What timeline.js draws: bins' left edges (s) plus the last right one, and a line each, the bold one last."""
    edges = [round(edge / 1000, 3) for edge in history.bins.edges_ms.tolist()]
    named = [line for line in history.lines if line.faulted]
    quiet = [line for line in history.lines if not line.faulted]
    lines = [_line(line.name, "other", "other", line.p99) for line in quiet]
    lines += [_line(line.name, "faulted", f"c{index % 6}", line.p99) for index, line in enumerate(named)]
    lines.append(_line("end to end", "end", "ink", history.end_to_end))
    values = [value for line in lines for value in line["y"] if value]
    around = LogMs.around([*values, *([gateway_ms] if gateway_ms else [])])
    return {
        "x": edges,
        "lines": lines,
        "failed": [int(lost) for lost in history.end_to_end.failed.tolist()],
        "gateway": gateway_ms,
        "gatewayText": f"gateway timeout {format_exact_duration(gateway_ms)}" if gateway_ms else "",
        "bands": [
            {
                "label": shown(band.label),
                "caught": round(band.caught_ms / 1000, 4),
                "from": band.start_ms / 1000,
                "tail": band.tail_ms / 1000,
                "to": band.end_ms / 1000,
            }
            for band in shading
        ],
        "lanes": 2 if len(shading) > 1 else 1,
        "range": [around.low_ms, around.high_ms],
    }


def _line(name: str, kind: str, colour: str, p99: Quantiles) -> dict[str, Any]:
    """One value an edge: the last one is held to the end of its bin."""
    rounded = [None if math.isnan(value) else float(f"{value:.4g}") for value in p99.value_ms.tolist()]
    return {"name": shown(name), "kind": kind, "colour": colour, "y": [*rounded, rounded[-1]]}


def _heat(upstreams: Sequence[UpstreamResult], order: Sequence[str]) -> dict[str, Any]:
    """Rows from the upstream that caused most wait down; columns in time's order."""
    table = frame.attribution(upstreams, order)
    columns = [name for name in table.columns if name not in _NOT_DRAWN] or list(table.columns)
    found = {(each.name, each.phase): each for each in upstreams}
    waits = [each.wait_caused_ms or 0.0 for each in upstreams if each.phase in columns]
    most = max([*waits, 1000.0])
    rows = [(name, [_cell(found.get((name, phase)), most) for phase in columns]) for name in table.index]
    return {"heat": rows, "heat_phases": columns}


def _cell(each: UpstreamResult | None, most_ms: float) -> dict[str, Any]:
    if each is None or not each.calls:
        return {"share": formatting.NONE, "detail": "no calls", "weight": 0, "css": ""}
    caused_ms = each.wait_caused_ms or 0.0
    if caused_ms <= _CALM_MS:
        return {"share": formatting.share(each.slowest_share), "detail": _p99(each), "weight": 0, "css": ""}
    heat = math.log(caused_ms / _CALM_MS) / math.log(most_ms / _CALM_MS)
    # between 45 and 90 % of the colour neither dark nor light words can be read on it
    weight, css = (6 + 39 * heat / 0.55, "warm") if heat < 0.55 else (90 + 10 * (heat - 0.55) / 0.45, "hot")
    detail = f"{_p99(each)} · caused {format_duration(caused_ms)}"
    return {"share": formatting.share(each.slowest_share), "detail": detail, "weight": round(weight), "css": css}


def _p99(each: UpstreamResult) -> str:
    return f"p99 {formatting.ms(each.p99_ms)}"


def _joined(subject: Subject) -> str:
    share = subject.results.correlation.joined_share
    if share is None:
        return "Calls could not be tied to requests, so who was last is unknown."
    return f"{format_share(share)} of the calls could be tied to their request ({subject.results.correlation.mode})."


def _subtitle(subject: Subject) -> str:
    load, name = subject.results.run.load, subject.results.scenario.name
    arrivals = next((phase.n for phase in subject.results.phases if phase.name == "whole"), 0)
    rate = f"{load.rate_per_s:g} req/s, " if load.rate_per_s is not None else ""
    return f"{name} · {format_count(arrivals)} arrivals · {rate}{load.model} model · log scale"


def _facts(subject: Subject) -> Iterator[tuple[str, str]]:
    results, plan, manifest = subject.results, subject.plan, subject.manifest
    yield "tailgate", results.tool.version
    yield "scenario", f"{results.scenario.file}, sha256 {results.scenario.sha256[:16]}…, seed {results.scenario.seed}"
    yield "started", results.run.started_at
    yield "gateway", f"{results.run.gateway.kind}, timeout {formatting.ms(results.run.gateway.timeout_ms)}"
    if results.run.stopped:
        yield "stopped early", results.run.stopped
    if plan:
        service = plan.service
        yield "service", service.rung or " ".join(service.argv or ()) or service.url
        yield (
            "load",
            f"{format_things(plan.load.workers, 'worker')}, {plan.load.max_in_flight} slots, "
            f"client cap {format_duration(plan.load.client_cap_ms)}",
        )
        yield (
            "verdict",
            f"confidence {plan.verdict.confidence * 100:g} %, clump {format_duration(plan.verdict.clump_ms)}",
        )
    if manifest:
        engine = manifest.engine
        yield (
            "Toxiproxy",
            f"{engine.version or 'version unknown'} ({engine.source or '?'})" if engine.kind == "real" else "none",
        )
        yield from manifest.host.items()
    if yardstick := results.run.machine.yardstick:
        figures = " and ".join(format_duration(ms) for ms in yardstick.figures_ms)
        yield "yardstick", f"the same fixed work took {figures} before the run and after it"


def _configuration(subject: Subject) -> str:
    if subject.plan is None:
        return ""
    document = redacted_document(subject.plan.model_dump(mode="json"))
    schedule = document["load"].get("schedule") or {}
    replayed = schedule.get("replay_ms") or []
    if len(replayed) > _MOST_REPLAYED:
        schedule["replay_ms"] = [*replayed[:_MOST_REPLAYED], f"… {len(replayed) - _MOST_REPLAYED} more"]
    return json.dumps(document, indent=1, ensure_ascii=False)
