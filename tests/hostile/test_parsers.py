"""The small languages within a scenario, and the files beside it: any text is read or refused in words."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.nasty import KEYS, NASTY, PATHS
from harness import units
from harness.errors import ScenarioError
from harness.gates.parse import GateSyntaxError, parse_gate
from harness.model.value_types import kind_of
from harness.scenario import load_scenario
from harness.scenario.schema.templates import fill, missing_variables, template_faults
from harness.scenario.source.overrides import OverrideError, parse_path
from harness.text import cut, folder_name, is_sanitized, json_text, one_line, paragraph, sanitize, shorten
from tests.scenario.world import GOOD, changed, write
from tests.thorough import examples

pytestmark = pytest.mark.thorough
deterministic = settings(deadline=None, derandomize=True, max_examples=examples(300))

NASTY_TEXTS = st.sampled_from([str(value) for value in NASTY if isinstance(value, str)])
WORDS = st.sampled_from(
    ["p99", "p50.5", "p99(ok)", "p0", "p99.99999", "errors", "timeouts", "complete", "calls", "throughput", "recovery",
     "http_error", "of", "for", "to", "azure", '"GET /x"', '"', "<", ">", "<=", ">=", "2s", "1.5x", "x", "baseline",
     "main",
     "gateway.timeout", "1%", "99%", "0%", "100%", "0.01", "1e400", "9" * 400, "40/s", "during", "after", "whole",
     "slow",
     "0s", "99h", "٣s", "ok", "rss", "named"]
)  # fmt: skip
GATES = st.one_of(
    st.lists(st.one_of(WORDS, WORDS, WORDS, NASTY_TEXTS), max_size=9).map(" ".join),
    st.text(max_size=40),
    st.builds(
        "{} {} {}{} {}".format,
        st.sampled_from(["p99", "p99.9", "errors", "complete", "calls", "throughput", "recovery", "p99 of azure"]),
        st.sampled_from("<>"),
        st.integers(0, 10**30),
        st.sampled_from(["s", "ms", "%", "", "/s", "x baseline", "x main", "h"]),
        st.sampled_from(["", "during slow", "after slow", "during baseline"]),
    ),
)


@deterministic
@given(text=GATES)
def test_any_text_is_a_gate_or_refused_with_its_place_and_a_way_out(text: str) -> None:
    try:
        gate = parse_gate(text)
    except GateSyntaxError as exc:
        assert exc.message
        assert exc.fix
        assert 0 <= exc.offset <= len(text)
        return
    assert gate.text == text
    assert 0 <= gate.moments(0.95) < 10**9
    limit_ms = gate.latency_limit_ms(2_000.0)
    assert limit_ms is None or 0 < limit_ms < math.inf


@deterministic
@given(
    text=st.one_of(
        NASTY_TEXTS, st.text(max_size=20), st.from_regex(r"[0-9.]{1,30} ?(ms|s|h|%|/s|MB|B)", fullmatch=True)
    )
)
def test_any_text_is_a_quantity_or_none(text: str) -> None:
    for parse in (
        units.parse_duration_ms,
        units.parse_rate_per_s,
        units.parse_share,
        units.parse_bytes,
        units.parse_bytes_per_s,
    ):
        try:
            assert parse(text) >= 0
        except ValueError as exc:
            assert str(exc)


@deterministic
@given(text=st.one_of(NASTY_TEXTS, st.sampled_from(PATHS), st.text(max_size=30)))
def test_any_text_is_a_path_or_none(text: str) -> None:
    try:
        path = parse_path(text)
    except OverrideError as exc:
        assert "is not a path" in str(exc) or "steps" in str(exc)
        return
    assert 0 < len(path) <= 64


@deterministic
@given(text=st.text(alphabet="${}:-AB x{", max_size=40))
def test_templates_end_whatever_stands_in_them(text: str) -> None:
    assert fill(text, {}, keep_unknown=True) == text
    assert all(0 <= fault.offset < len(text) for fault in template_faults(text, ["A"]))
    for name, offset in missing_variables(text, {}):
        assert text[offset:].startswith(f"${{{name}}}")


@deterministic
@given(name=st.one_of(st.sampled_from([*PATHS, *KEYS]), st.text(max_size=10)), value=st.one_of(NASTY_TEXTS, st.text()))
def test_any_setting_is_taken_or_refused(name: str, value: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), GOOD)
        try:
            loaded = load_scenario(path, [f"{name}={value}"])
        except ScenarioError as exc:
            assert all(problem.message and is_sanitized(one_line(problem.message)) for problem in exc.problems)
            return
        assert loaded.checked


LINES = st.one_of(
    st.binary(max_size=60),
    st.lists(
        st.sampled_from(
            [b"1", b"0.5", b"-1", b"nan", b"inf", b"1e999", b"9" * 400, b"# x", b"", b"a,b", b"1,2", b"\xff", b"\0"]
        )
    ).map(b"\n".join),
)  # fmt: skip


@deterministic
@given(content=LINES)
def test_a_recording_of_anything(content: bytes) -> None:
    _beside(content, ("rate: 40/s", "replay: beside.csv\n  warmup: 0s"))


@deterministic
@given(content=LINES)
def test_a_data_file_of_anything(content: bytes) -> None:
    _beside(content, ("rate: 40/s", "rate: 40/s\n  data: beside.csv"))


@deterministic
@given(content=LINES)
def test_a_recorded_latency_of_anything(content: bytes) -> None:
    _beside(content, ("{p50: 60ms, p99: 140ms}", "{profile: {empirical: beside.csv}}"))


def _beside(content: bytes, change: tuple[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "beside.csv").write_bytes(content)
        try:
            load_scenario(write(Path(folder), changed(change)))
        except ScenarioError as exc:
            assert all(problem.message for problem in exc.problems)


# ---------------------------------------------------------------- texts of others


@deterministic
@given(text=st.text(alphabet=st.characters(), max_size=200))
def test_one_line_is_one_line_and_can_be_written_anywhere(text: str) -> None:
    shown = one_line(text)
    assert is_sanitized(shown)
    assert len(shown.splitlines()) <= 1
    shown.encode("utf-8")
    assert "\t" not in shown
    assert one_line(shown) == shown or len(text) > 100


@deterministic
@given(text=st.text(alphabet=st.characters(), max_size=200))
def test_a_paragraph_has_the_lines_it_had(text: str) -> None:
    assert len(paragraph(text).splitlines()) <= len(text.split("\n"))
    assert sanitize(paragraph(text)) == paragraph(text)


@deterministic
@given(
    value=st.recursive(
        st.one_of(st.text(), st.integers(), st.booleans(), st.none()),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
        max_leaves=8,
    )
)
def test_json_text_is_the_same_document_without_a_hidden_character(value: Any) -> None:
    for ascii_only in (False, True):
        text = json_text(value, ascii_only=ascii_only)
        assert json.loads(text) == value
        assert is_sanitized(text)


@deterministic
@given(text=st.text(max_size=400))
def test_a_folder_name_is_one(text: str) -> None:
    name = folder_name(text)
    assert len(name.encode()) <= 120
    assert not set(name) & set("/\\\0\n")
    assert name not in (".", "..")


def test_cuts_say_that_they_are_and_stay_short() -> None:
    huge = "x" * 10_000_000
    assert one_line(huge) == f"{'x' * 400}… (cut, 10,000,000 characters)"
    assert len(paragraph("\n".join([huge] * 50))) < 50_000
    assert cut("abc", 3) == "abc"
    assert shorten(f"`{'a' * 90}` is not a name") == f"`{'a' * 60}…` is not a name"
    assert kind_of(huge).endswith("…`")
