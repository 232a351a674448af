"""Templates of answers: what is a placeholder, what is text, and what is refused."""

from __future__ import annotations

import pytest

from harness.upstreams.routes.templates import BadTemplate, Placeholder, params_of, parse_template, parse_tree


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        ("plain", ("plain",)),
        ("{code}", (Placeholder("param", "code"),)),
        ("a-{seq}-{n}{mark}", ("a-", Placeholder("seq"), "-", Placeholder("n"), Placeholder("mark"))),
        ("{query.dest}", (Placeholder("query", "dest"),)),
        ("{query.a.b}", (Placeholder("query", "a.b"),)),
        ("{header.X-Tenant}", (Placeholder("header", "x-tenant"),)),
        ("{body.items[0].id}", (Placeholder("body", "items[0].id"),)),
        ("{{seq}}", ("{seq}",)),
        ("}", ("}",)),
        ("{{{n}}}", ("{", Placeholder("n"), "}")),
    ],
)
def test_a_template_is_text_and_placeholders(text: str, parts: tuple[str | Placeholder, ...]) -> None:
    assert parse_template(text, ("code",)) == parts


@pytest.mark.parametrize(
    ("text", "message", "offset"),
    [
        ("a{cod}", "there is no placeholder `{cod}`", 1),
        ("{query.}", "there is no placeholder `{query.}`", 0),
        ("{}", "there is no placeholder `{}`", 0),
        ("ab{", "a brace is not closed", 2),
        ("{body.items[}", "`items[` is not a JMESPath expression", 0),
    ],
)
def test_a_wrong_template_says_where_and_how_to_mend_it(text: str, message: str, offset: int) -> None:
    with pytest.raises(BadTemplate) as refused:
        parse_template(text, ("code",))
    assert (refused.value.message, refused.value.offset) == (message, offset)
    assert refused.value.fix


def test_the_strings_of_a_document_are_templates_and_nothing_else_is() -> None:
    tree = parse_tree({"{n}": ("x", 1, None, {"id": "{n}"}), "plain": "{{"}, ())
    assert tree == {"{n}": ["x", 1, None, {"id": (Placeholder("n"),)}], "plain": "{"}


def test_a_parameter_is_a_whole_segment() -> None:
    assert params_of("/a/{b}/c-{d}/{e}") == ("b", "e")
