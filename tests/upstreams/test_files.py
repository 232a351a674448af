"""Files that a route answers with: listed at the start, by the values of the parameters in their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.upstreams.routes import files
from harness.upstreams.routes.files import files_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "airports" / "de").mkdir(parents=True)
    for name in ("MUC.json", "LHR.json", "README", "de/TXL.json"):
        (tmp_path / "airports" / name).write_text(name)
    return tmp_path


def test_a_parameter_stands_for_a_part_of_a_name(folder: Path) -> None:
    found = files_of(f"{folder}/airports/{{code}}.json", ("code",))
    assert found.params == ("code",)
    assert {values: path.name for values, path in found.paths.items()} == {
        ("LHR",): "LHR.json",
        ("MUC",): "MUC.json",
    }


def test_several_parameters_and_one_that_stands_twice(folder: Path) -> None:
    both = files_of(f"{folder}/airports/{{land}}/{{code}}.json", ("code", "land"))
    assert (both.params, list(both.paths)) == (("land", "code"), [("de", "TXL")])
    (folder / "MUC").mkdir()
    (folder / "MUC" / "MUC.json").write_text("")
    (folder / "MUC" / "LHR.json").write_text("")
    assert list(files_of(f"{folder}/{{code}}/{{code}}.json", ("code",)).paths) == [("MUC",)]


def test_without_a_parameter_it_is_that_file(folder: Path) -> None:
    assert list(files_of(f"{folder}/airports/README", ()).paths) == [()]
    with pytest.raises(OSError, match="NOTHING"):
        files_of(f"{folder}/airports/NOTHING", ())


def test_no_match_and_too_much_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="no file matches"):
        files_of(f"{folder}/airports/{{code}}.xml", ("code",))
    with pytest.raises(ValueError, match="only parameters"):
        files_of(f"{folder}/airports/{{seq}}.json", ())
    monkeypatch.setattr(files, "BYTES_MOST", 10)
    with pytest.raises(ValueError, match="together"):
        files_of(f"{folder}/airports/{{code}}.json", ("code",))
    monkeypatch.setattr(files, "FILES_MOST", 1)
    with pytest.raises(ValueError, match="more than 1 files"):
        files_of(f"{folder}/airports/{{code}}.json", ("code",))
