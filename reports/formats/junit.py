"""junit.xml: one test case a gate, so that any CI shows which one failed and why.

fail → failure; inconclusive → failure of type `inconclusive`, or skipped where the scenario only
warns; a rig failure → an error in a case of its own, since then no gate's word can be trusted.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Final

from harness.rundir.results import GateResult, Results
from reports import formatting
from reports.redacted import shown
from reports.subject import Subject

FILES: Final = ("junit.xml",)


def write(subject: Subject, out: Path) -> list[Path]:
    path = out / FILES[0]
    warns = subject.plan is not None and subject.plan.verdict.inconclusive == "warn"
    write_suites(path, [suite(subject.results, name=subject.results.scenario.name, warns=warns)])
    return [path]


def write_suites(path: Path, suites: list[ET.Element]) -> None:
    root = ET.Element("testsuites", {"name": "tailgate"})
    for key in ("tests", "failures", "errors", "skipped"):
        root.set(key, str(sum(int(each.get(key, "0")) for each in suites)))
    root.extend(suites)
    ET.indent(root)
    path.write_bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n")


def suite(results: Results, *, name: str, warns: bool) -> ET.Element:
    """A run's testsuite. `warns`: inconclusive gates do not fail the build."""
    element = ET.Element("testsuite", {"name": shown(name), "timestamp": shown(results.run.started_at.rstrip("Z"))})
    element.set("time", f"{results.run.load.duration_ms / 1000:.3f}")
    properties = ET.SubElement(element, "properties")
    for key, value in (("verdict", results.verdict), ("seed", str(results.scenario.seed)), ("replay", results.replay)):
        ET.SubElement(properties, "property", {"name": key, "value": shown(value)})
    if results.run.stopped:
        ET.SubElement(properties, "property", {"name": "stopped", "value": shown(results.run.stopped)})
    for note in results.notes:
        ET.SubElement(properties, "property", {"name": "note", "value": shown(note)})
    rig = results.verdict == "rig_failure"
    # a run that was stopped passes no gate of those that were decided before: it must not be green
    unsaid = results.verdict == "inconclusive" and all(gate.verdict == "pass" for gate in results.gates)
    if rig or not results.gates or unsaid:
        case = _case(element, results, "the rig" if rig else "a verdict", 0)
        if rig:
            body = [results.reason, *results.log_lines, results.why, results.next, results.next_command]
            _verdict(case, "error", "rig_failure", results.reason, "\n".join(filter(None, body)))
        elif results.verdict == "fail":
            _verdict(case, "failure", "fail", results.reason, results.why)
        elif results.verdict == "inconclusive":
            _inconclusive(case, results.reason, results.why, warns=warns)
    for gate in results.gates:
        _gate_case(element, results, gate, warns=warns)
    if results.notes:
        # a CI's page shows this text and no properties
        ET.SubElement(element, "system-out").text = shown("\n".join(results.notes))
    _count(element)
    return element


def _gate_case(element: ET.Element, results: Results, gate: GateResult, *, warns: bool) -> None:
    case = _case(element, results, gate.text, gate.line)
    of = f"{gate.n} {formatting.things(gate)} in {gate.phase}"
    seen = f"observed {formatting.observed(gate)}, limit {formatting.limit(gate)}, {of}"
    interval = formatting.interval(gate, results.run.gateway.timeout_ms)
    body = f"{gate.reason}\n{seen}{f' ({interval})' if interval else ''}\nreplay: {results.replay}"
    if gate.verdict == "fail":
        _verdict(case, "failure", "fail", gate.reason, body)
    elif gate.verdict == "inconclusive":
        _inconclusive(case, gate.reason, body, warns=warns)


def _inconclusive(case: ET.Element, reason: str, body: str, *, warns: bool) -> None:
    if warns:
        ET.SubElement(case, "skipped", {"message": shown(f"inconclusive: {reason}")})
    else:
        _verdict(case, "failure", "inconclusive", reason, body)


def _case(element: ET.Element, results: Results, name: str, line: int) -> ET.Element:
    attributes = {"classname": shown(results.scenario.name), "name": shown(name), "file": shown(results.scenario.file)}
    if line:
        attributes["line"] = str(line)
    return ET.SubElement(element, "testcase", {**attributes, "time": "0"})


def _verdict(case: ET.Element, tag: str, kind: str, message: str, body: str) -> None:
    element = ET.SubElement(case, tag, {"type": kind, "message": shown(message)})
    element.text = shown(body)


def _count(element: ET.Element) -> None:
    element.set("tests", str(len(element.findall("testcase"))))
    for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(key, str(len(element.findall(f"testcase/{tag}"))))
