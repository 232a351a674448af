"""The kind of a file is found by what is in it, whatever its name is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import ScenarioError, UsageError
from harness.scenario.draft.source_kind import SourceKind, source_kind
from tests.scenario.draft.draft_world import DESCRIPTION, PROXIES, exchange, recording, refused


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (DESCRIPTION, "openapi"),
        ('{"openapi": "3.0.0"}', "openapi"),
        ('\ufeff{\n "info": {"log": 1}, "openapi": "3.0.0"}', "openapi"),
        ("swagger: '2.0'", "openapi"),
        ("# a comment\nversion: '3'\nservices:\n  openapi: {}\n", "compose"),
        ('{"services": {}}', "compose"),
        ("{services: {api: {}}}", "compose"),
        ("include: [a.yaml]", "compose"),
        (PROXIES, "toxiproxy"),
        (recording(exchange("https://a.example/")), "har"),
        ('{"name": "x", "log": {}}', "har"),
        ("name: x\nservice: {rung: timeout}\n", "scenario"),
        ("extends: other.yaml\r\n", "scenario"),
    ],
)
def test_each_kind_by_its_content(tmp_path: Path, text: str, kind: SourceKind) -> None:
    path = tmp_path / "compose.har"
    path.write_text(text, encoding="utf-8")
    assert source_kind(path) == kind


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"hello", "is nothing that a scenario can be made from"),
        (b"web:\n  image: x\n", "is nothing that a scenario can be made from"),
        (b"[1, 2]", "is nothing that a scenario can be made from"),
        (b'{"a": 1}', "is nothing that a scenario can be made from"),
        (b"a: b\n\xff", "is not UTF-8 (byte 0xff on line 2)"),
        (b'{"a": 1,\n "b" 2}', "2: : not JSON: Expecting ':' delimiter"),
        (b'{"a": 1', "1: : not JSON"),
    ],
)
def test_what_is_none_of_them_is_refused_with_the_list(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    text = refused([path], folder=tmp_path)
    assert said in text
    if "nothing that" in said:
        assert "compose file" in text and "OpenAPI" in text and "Toxiproxy" in text and "HAR" in text


def test_what_is_no_file(tmp_path: Path) -> None:
    assert "there is no file" in refused([tmp_path / "x"], folder=tmp_path)
    assert "is a folder" in refused([tmp_path], folder=tmp_path)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=80), st.text(alphabet='{}[]":, \nabservicesopenapi-&*<!|0', max_size=80).map(str.encode)
    )
)
def test_nonsense_is_of_a_kind_or_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    try:
        assert source_kind(path)
    except (UsageError, ScenarioError) as exc:
        assert exc.message
