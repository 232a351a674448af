"""What the curves of a frontier search say together: the verdict, and sentences for people. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from harness.rundir.searches.frontier import FrontierCurve, FrontierKind, FrontierVerdict
from harness.search.frontier.kinds import KINDS, level_text

_MAY: dict[FrontierKind, str] = {
    "latency": "may answer up to {level} later",
    "errors": "may fail in up to {level} of its calls",
    "hang": "may leave up to {level} of its calls unanswered",
    "outage": "may hang for {level}",
}
_AT_LEAST: dict[FrontierKind, str] = {
    "latency": "may answer {level} later, and nothing higher was tried",
    "errors": "may fail in {level} of its calls, and nothing higher was tried",
    "hang": "may leave {level} of its calls unanswered, and nothing higher was tried",
    "outage": "may hang for {level}, and nothing longer was tried",
}
_WHOLLY: dict[FrontierKind, str] = {"errors": "may fail in every call", "hang": "may leave every call unanswered"}
_NOT_EVEN: dict[FrontierKind, str] = {
    "latency": "may not even answer {level} later",
    "errors": "may not even fail in {level} of its calls",
    "hang": "may not even leave {level} of its calls unanswered",
    "outage": "may not even hang for {level}",
}


def frontier_verdict(curves: Sequence[FrontierCurve]) -> FrontierVerdict:
    """`pass`: each curve has the certificates of both its answers, or reached the end of its scale. `fail`: the service
    breaks at the least level of one, or without any fault. Else it is open."""
    if any(curve.ended_by in ("nothing_holds", "unhealthy") for curve in curves):
        return "fail"
    if any(curve.ended_by == "rig" for curve in curves):
        return "rig_failure"
    done = all(curve.certified is not None and (curve.refuted is not None or curve.at_least) for curve in curves)
    return "pass" if curves and done else "inconclusive"


def frontier_sentence(curves: Sequence[FrontierCurve]) -> str:
    """`azure may answer up to 900 ms later; at 1.2 s `p99 < 2s` failed. It may hang for 40 s; after 75 s …`."""
    said: list[str] = []
    named = ""
    for curve in curves:
        subject = "It" if curve.upstream == named else curve.upstream
        said.append(f"{subject} {answer_of(curve)}.")
        named = curve.upstream
    return " ".join(said) or "Nothing was measured."


def answer_of(curve: FrontierCurve) -> str:
    """What follows the name of the upstream, without a full stop."""
    kind = curve.kind
    if curve.ended_by == "unhealthy":
        return f"was not broken, since the service does not hold without any fault ({curve.broke})"
    if curve.certified is None:
        least = level_text(kind, curve.refuted if curve.refuted is not None else KINDS[kind].scale.least)
        if curve.ended_by == "nothing_holds":
            return f"{_NOT_EVEN[kind].format(level=least)}: {curve.broke}"
        broken = f"; at {level_text(kind, curve.refuted)} {curve.broke}" if curve.refuted is not None else ""
        return f"has no level of {kind} that could be certified{broken or _given_up(curve) or _silence(curve)}"
    level = level_text(kind, curve.certified)
    if curve.refuted is not None:
        when = "after" if kind == "outage" else "at"
        return f"{_MAY[kind].format(level=level)}; {when} {level_text(kind, curve.refuted)} {curve.broke}"
    if not curve.at_least:
        open_end = _given_up(curve) or _silence(curve)
        return f"{_MAY[kind].format(level=level)}; from where on it may not is not certified{open_end}"
    return _WHOLLY[kind] if kind in _WHOLLY and curve.certified >= 1 else _AT_LEAST[kind].format(level=level)


def _given_up(curve: FrontierCurve) -> str:
    return f"; the search ended since {curve.given_up}" if curve.given_up else ""


def _silence(curve: FrontierCurve) -> str:
    """Why the last load that said nothing did so, in brackets; empty if each said something."""
    silent = [step for step in curve.steps if step.outcome in ("generator", "undecided")]
    return f" ({silent[-1].reason})" if silent else ""
