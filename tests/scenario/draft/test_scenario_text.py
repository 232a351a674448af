"""Texts of others in a drafted scenario: read again they are the same, and none breaks out of its place."""

from __future__ import annotations

from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.model.tree import Source, plain
from harness.model.yaml_parser import parse
from harness.scenario.draft import Draft
from harness.scenario.draft.parts import DraftRequest, DraftService, DraftUpstream
from harness.scenario.draft.scenario_text import yaml_scalar
from tests.scenario.draft.draft_world import tree_of

# NUL and lone surrogates are in no YAML file: where texts come from, they are refused
TEXTS = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=40)


@settings(deadline=None)
@given(TEXTS)
def test_a_text_is_read_again_as_itself_alone_and_in_braces(text: str) -> None:
    for document in (f"a: {yaml_scalar(text)}", f"a: {{b: [{yaml_scalar(text)}], c: 1}}"):
        node, problems = parse(document, Source("t", Path(), tuple(document.split("\n"))))
        assert not problems and node is not None
        assert plain(node) in ({"a": text}, {"a": {"b": (text,), "c": 1}})


@settings(deadline=None)
@example(one="", key="a", words=["null"])
@example(one="", key="a", words=["a:", "b"])
@given(TEXTS, TEXTS.filter(bool), st.lists(TEXTS.filter(bool), min_size=1, max_size=3))
def test_whatever_names_and_values_hold_the_scenario_keeps_its_shape(one: str, key: str, words: list[str]) -> None:
    service = DraftService(tuple(words), cwd=one, env={key: one}, env_comments={key: (one,)}, comments=(one,))
    upstream = DraftUpstream("a", {"har": one or "x", "host": key}, (one,))
    made = Draft(key, (one,), service, (upstream,), (DraftRequest(one, {"X": key}),), (one,), left_out=(one,))
    tree = tree_of(made)
    assert tree["name"] == key
    assert tree["service"]["env"] == {key: one}
    command = tree["service"]["command"]
    assert command == tuple(words) or command == " ".join(words)
    assert tree["upstreams"] == {"a": {"har": one or "x", "host": key}}
    assert list(tree) == ["name", "service", "upstreams", "gateway", "load", "faults", "gates"]
