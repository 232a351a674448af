"""A service that listens on all addresses in its container does not do so on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.scenario.draft.compose.listen_address import on_loopback, value_on_loopback
from tests.scenario.draft.draft_world import comments_of, draft, put, tree_of


@pytest.mark.parametrize(
    ("word", "local"),
    [
        ("0.0.0.0", "127.0.0.1"),
        ("--host=0.0.0.0", "--host=127.0.0.1"),
        ("0.0.0.0:8000", "127.0.0.1:8000"),
        ("--bind=0.0.0.0:{port}", "--bind=127.0.0.1:{port}"),
        ("[::]:8000", "127.0.0.1:8000"),
        ("--bind=[::]:8000", "--bind=127.0.0.1:8000"),
        ("::", "127.0.0.1"),
        ("tcp://0.0.0.0:80", "tcp://127.0.0.1:80"),
        (":8080", "127.0.0.1:8080"),
        ("--addr=:8080", "--addr=127.0.0.1:8080"),
        ("uvicorn app:app --host 0.0.0.0 --port 80 && true", "uvicorn app:app --host 127.0.0.1 --port 80 && true"),
        ("flask run -h '0.0.0.0'", "flask run -h '127.0.0.1'"),
        ("runserver 0.0.0.0:8000", "runserver 127.0.0.1:8000"),
        # what is something else
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("10.0.0.0", "10.0.0.0"),
        ("10.0.0.0.0", "10.0.0.0.0"),
        ("app::run", "app::run"),
        ("::1", "::1"),
        ("--time 12:30", "--time 12:30"),
        ("app:app", "app:app"),
        ("localhost:8080", "localhost:8080"),
    ],
)
def test_the_usual_forms_in_a_command(word: str, local: str) -> None:
    assert on_loopback(word) == local


@pytest.mark.parametrize(
    ("value", "local"),
    [
        ("0.0.0.0", "127.0.0.1"),
        ("0.0.0.0:8000", "127.0.0.1:8000"),
        ("http://0.0.0.0:8000", "http://127.0.0.1:8000"),
        ("[::]:8000", "127.0.0.1:8000"),
        (":8000", "127.0.0.1:8000"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("allow 0.0.0.0 and more", "allow 0.0.0.0 and more"),
        ("a:8000", "a:8000"),
        ("", ""),
    ],
)
def test_a_variable_that_is_an_address(value: str, local: str) -> None:
    assert value_on_loopback(value) == local


def test_each_place_that_was_changed_is_to_be_checked(tmp_path: Path) -> None:
    text = """\
services:
  api:
    build: .
    ports: ["80:8000"]
    command: uvicorn app:app --host 0.0.0.0 --port 8000
    environment: {METRICS_ADDR: "0.0.0.0:9090", HOST: "0.0.0.0", TRUSTED: 0.0.0.0/0}
"""
    made = draft(put(tmp_path, c__yaml=text), folder=tmp_path)
    service = tree_of(made)["service"]
    assert "--host 127.0.0.1 --port {port}" in service["command"][-1]
    assert service["env"] == {"METRICS_ADDR": "127.0.0.1:9090", "HOST": "127.0.0.1", "TRUSTED": "0.0.0.0/0"}
    assert comments_of(made).count("CHECK: the file lets it listen on all addresses") == 3


def test_a_service_that_listens_here_already_gets_no_comment(tmp_path: Path) -> None:
    text = 'services: {api: {build: ., ports: ["80:80"], command: "app --host 127.0.0.1 --port 80"}}'
    assert "all addresses" not in comments_of(draft(put(tmp_path, c__yaml=text), folder=tmp_path))
