"""Which files of stub mappings are read, and which are refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

import pytest

from harness.upstreams.routes.wiremock import read_wiremock, stub_folder, stubs
from tests.upstreams.wiremock_stubs import OK, ONE, refusal, refused, write


def test_a_folder_is_read_file_by_file_in_the_order_of_names(tmp_path: Path) -> None:
    def stub(path: str) -> dict[str, Any]:
        return {"request": {"urlPath": path}, "response": OK}

    write(
        tmp_path,
        {
            "mappings/b.json": {"mappings": [stub("/b0"), stub("/b1")], "meta": {"total": 2}},
            "mappings/a.json": stub("/a"),
            "mappings/ab/deep/er.JSON": b"\xef\xbb\xbf" + json.dumps(stub("/deep")).encode(),
            "mappings/README.md": b"not a stub",
            "outside.json": b"not read",
        },
    )
    found = read_wiremock(tmp_path)
    assert [one.path for one in found.routes] == ["/a", "/deep", "/b0", "/b1"]
    assert [one.rank for one in found.routes] == [(5, 0), (5, -1), (5, -2), (5, -3)]
    assert found.notes == ()


def test_a_folder_of_stubs_without_mappings_leaves_its_bodies_out(tmp_path: Path) -> None:
    stub = {"request": {"urlPath": "/a"}, "response": {"bodyFileName": "a.json"}}
    write(tmp_path, {"stub.json": stub, "__files/a.json": b"not a stub"})
    assert [one.answers[0].data for one in read_wiremock(tmp_path).routes] == [b"not a stub"]


@pytest.mark.parametrize("given", ["", "mappings", "mappings/sub", "mappings/sub/one.json"])
def test_bodies_are_found_from_wherever_the_path_points(tmp_path: Path, given: str) -> None:
    stub = {"request": {}, "response": {"bodyFileName": "b/\u00e9 1.bin"}}
    write(tmp_path, {"mappings/sub/one.json": stub, "__files/b/\u00e9 1.bin": b"\x00\xff"})
    assert [one.answers[0].data for one in read_wiremock(tmp_path / given).routes] == [b"\x00\xff"]


def test_without_a_stub_there_is_nothing_to_play(tmp_path: Path) -> None:
    assert "has no stub mappings" in refusal(tmp_path)
    assert "has no stub mappings" in refusal(write(tmp_path, {"mappings/none.json": {"mappings": []}}))
    assert "cannot be read: No such file" in refusal(tmp_path / "missing")


HIDDEN: Final = ("../secret", "../mappings/s.json", "a/../../secret", "a/../a/x", "..", "/etc/hostname", "//x")
OUTSIDE: Final = (*HIDDEN, "", ".", "a\\b", "a\0b")


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_body_lies_below_files(tmp_path: Path, name: str) -> None:
    write(tmp_path, {"secret": b"secret", "stubs/__files/a/x": b"x"})
    folder = write(tmp_path / "stubs", {"mappings/s.json": {"request": {}, "response": {"bodyFileName": name}}})
    assert refusal(folder) == f"{ONE}: mappings/s.json: response.bodyFileName: `{name}` is not a path below `__files/`"


def test_a_body_with_an_endless_name_is_not_found(tmp_path: Path) -> None:
    message = refused(tmp_path, {"request": {}, "response": {"bodyFileName": "x" * 5000}})
    assert f"`__files/{'x' * 60}… (cut, 5,000 characters)` cannot be read: File name too long" in message


def test_links_that_lead_out_are_refused_and_others_are_followed(tmp_path: Path) -> None:
    stub = {"request": {"urlPath": "/a"}, "response": {"bodyFileName": "b"}}
    write(
        tmp_path, {"out/o.json": stub, "out/b": b"secret", "in/mappings/real/a.json": stub, "in/__files/real": b"body"}
    )
    folder = tmp_path / "in"
    (folder / "mappings/again.json").symlink_to(folder / "mappings/real/a.json")
    (folder / "__files/b").symlink_to("real")
    assert [one.answers[0].data for one in read_wiremock(folder).routes] == [b"body", b"body"]

    (folder / "mappings/file.json").symlink_to(tmp_path / "out/o.json")
    (folder / "mappings/folder").symlink_to(tmp_path / "out")
    (folder / "__files/b").unlink()
    (folder / "__files/b").symlink_to(tmp_path / "out/b")
    message = refusal(folder)
    assert "mappings/again.json: response.bodyFileName: `b` is a symbolic link that leads out of the folder" in message
    assert "mappings/file.json: is a symbolic link that leads out of the folder" in message
    assert "mappings/folder: is a symbolic link that leads out of the folder" in message
    assert "and 1 more" in message  # the body is refused for both stubs


def test_mappings_that_are_a_link_out_are_refused(tmp_path: Path) -> None:
    write(tmp_path, {"out/o.json": {"request": {}, "response": OK}})
    (tmp_path / "in").mkdir()
    (tmp_path / "in/mappings").symlink_to(tmp_path / "out")
    assert "mappings: is a symbolic link that leads out" in refusal(tmp_path / "in")


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    folder = write(tmp_path, {"mappings/a.json": {"request": {}, "response": OK}}) / "mappings"
    (folder / "up").symlink_to(folder)
    assert "folders are nested more than 16 deep" in refusal(tmp_path)
    (folder / "up").unlink()
    (folder / "self.json").symlink_to(folder / "self.json")
    assert "mappings/self.json: cannot be read: " in refusal(tmp_path)
    assert "cannot be read" in refusal(folder / "self.json")


def test_what_is_not_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    assert "pipe.json: is not a file" in refusal(tmp_path)


def test_number_and_size_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = {"request": {}, "response": {"bodyFileName": "b"}}
    write(tmp_path, {"mappings/a.json": {"mappings": [stub] * 4}, "mappings/b.json": stub, "__files/b": b"x" * 500})
    read_wiremock(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(stubs, "ROUTES_MOST", 4)
        assert "more than 4 stub mappings" in refusal(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(stub_folder, "ROUTES_MOST", 1)
        assert "more than 1 files" in refusal(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(stub_folder, "ENTRIES_MOST", 1)
        assert "more than 1 files and folders" in refusal(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(stub_folder, "FILE_BYTES_MOST", 499)
        assert "mappings/a.json: mappings[0].response.bodyFileName: `__files/b` is larger than 499 B" in refusal(
            tmp_path
        )
        patch.setattr(stub_folder, "TOTAL_BYTES_MOST", 2_000)  # the same body, which each stub asks for
        assert "larger than 2.00 kB" in refusal(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(stub_folder, "TOTAL_BYTES_MOST", 600)  # the body is read once, for all stubs
        assert "larger than 600 B" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is not JSON: Expecting value (line 1, column 1)"),
        (b'{\n "request": {},}', "is not JSON: Expecting property name enclosed in double quotes (line 2, column 16)"),
        (b"\xff{}", "is not UTF-8 (byte 0)"),
        (b'{"priority": NaN}', "NaN is not a finite number"),
        (b'{"priority": 1e999}', "1e999 is not a finite number"),
        (b'{"priority": ' + b"9" * 5000 + b"}", "is not JSON: Exceeds the limit"),
        (b"[" * 65 + b"]" * 65, "is nested more than 64 deep"),
        (b"[" * 100_000, "is nested more than 64 deep"),
        (b'{"name": "\\ud800"}', "has half of a surrogate pair"),
        (b"null", "expected an object, not null"),
        (b"[]", "expected an object, not a list"),
        (b"true", "expected an object, not true or false"),
        (b'{"mappings": {}}', "mappings: expected a list, not an object"),
    ],
)
def test_a_file_that_is_no_stub_is_refused_by_name(tmp_path: Path, content: bytes, what: str) -> None:
    message = refusal(write(tmp_path, {"mappings/bad.json": content}))
    assert "mappings/bad.json: " in message
    assert what in message
