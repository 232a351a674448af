"""`{column}` in requests: what is filled, what is text, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.drive.template import compile_template, read_rows

ROW = {"gpu": "A100", "region": "eu-1"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("/offers?gpu={gpu}&region={region}", "/offers?gpu=A100&region=eu-1"),
        ("{gpu}{gpu}", "A100A100"),
        ("/plain", "/plain"),
        ("", ""),
        ('{"gpu": "{gpu}", "nested": {"a": {"b": 1}}}', '{"gpu": "A100", "nested": {"a": {"b": 1}}}'),
        ("{{gpu}}", "{gpu}"),
        ("{{anything}} {gpu}", "{anything} A100"),
        ("{ gpu } {} {1}", "{ gpu } {} {1}"),
    ],
)
def test_columns_are_filled_and_other_braces_are_text(text: str, filled: str) -> None:
    assert compile_template(text, tuple(ROW))(ROW) == filled


def test_a_name_that_is_no_column_is_refused_with_the_columns_there_are() -> None:
    with pytest.raises(ValueError, match=r"`\{gup\}` is not a column of the data file \(gpu, region\)"):
        compile_template("/offers?gpu={gup}", tuple(ROW))


@given(st.text(alphabet=st.characters(exclude_characters="{}")), st.text())
def test_values_go_in_as_they_are(text: str, value: str) -> None:
    assert compile_template(text + "{gpu}" + text, ("gpu",))({"gpu": value}) == text + value + text


def test_rows_of_a_csv_file(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text('\ufeffgpu,region\nA100,"eu, west"\nH100\n', encoding="utf-8")
    columns, rows = read_rows(path)
    assert columns == ("gpu", "region")
    assert rows == ({"gpu": "A100", "region": "eu, west"}, {"gpu": "H100", "region": ""})


@pytest.mark.parametrize(("content", "complaint"), [("gpu\n", "no row"), ("", "no row"), ("gpu\na,b\n", "more fields")])
def test_a_csv_file_that_cannot_be_used(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=complaint):
        read_rows(path)


@pytest.mark.parametrize("content", ["a,b\n" + "x" * 200_000 + ",1\n", 'a,b\n"1\n' + "x" * 200_000])
def test_what_is_no_csv_is_refused_in_words(content: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"rows\.csv is not CSV"):
        read_rows(tmp_path / "rows.csv")
