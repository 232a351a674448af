"""Routes from OpenAPI descriptions: what is served for which operation, and what is refused, by name."""

from __future__ import annotations

import copy
import json
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.rundir.planned.routes import PlannedAnswer
from harness.upstreams.routes.openapi import document as reading
from harness.upstreams.routes.openapi import operations, read_openapi
from harness.upstreams.routes.routes_read import RoutesRead, UnreadableRoutes
from tests.thorough import ALL

Tree = dict[str, Any]
PET = {"$ref": "#/components/schemas/Pet"}


def json_response(**media: Any) -> Tree:
    return {"description": "ok", "content": {"application/json": media}}


def described(paths: Tree, version: str = "3.0.3", **more: Any) -> Tree:
    return {"openapi": version, "info": {"title": "Pets", "version": "1"}, "paths": paths, **more}


def of_responses(responses: Tree, version: str = "3.0.3", **more: Any) -> Tree:
    return described({"/pets": {"get": {"responses": responses}}}, version, **more)


def petstore(version: str) -> Tree:
    """Every kind of part that a description has."""
    name = {"type": "string", "nullable": True} if version.startswith("3.0") else {"type": ["string", "null"]}
    identity = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}
    return described(
        {
            "/pets": {
                "get": {"responses": {"200": json_response(schema={"type": "array", "items": PET})}},
                "post": {
                    "requestBody": {"content": {"application/json": {"schema": PET}}},
                    "responses": {"201": json_response(schema=PET), "default": {"$ref": "#/components/responses/Bad"}},
                    "callbacks": {
                        "done": {"{$request.body#/url}": {"post": {"responses": {"200": {"description": ""}}}}}
                    },
                },
            },
            "/pets/{id}": {
                "parameters": [identity],
                "get": {"responses": {"200": json_response(examples={"b": {"$ref": "#/components/examples/Rex"}})}},
                "delete": {"responses": {"204": {"description": "gone", "headers": {"ETag": {"schema": name}}}}},
            },
        },
        version,
        servers=[{"url": "https://{at}.example.com/v1/", "variables": {"at": {"default": "eu"}}}],
        components={
            "schemas": {
                "Pet": {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}, "name": name}}
            },
            "responses": {"Bad": json_response(schema={"oneOf": [PET, {"type": "string"}]})},
            "examples": {"Rex": {"value": {"id": 1, "name": "{Rex}"}}},
        },
    )


def read(tree: Any, folder: Path, seed: int = 1) -> RoutesRead:
    path = folder / "api.json"
    path.write_text(tree if isinstance(tree, str) else json.dumps(tree))
    return read_openapi(path, seed)


def read_yaml(text: str, folder: Path) -> RoutesRead:
    path = folder / "api.yaml"
    path.write_text(text)
    return read_openapi(path, 1)


def answer(tree: Any, folder: Path) -> PlannedAnswer:
    return read(tree, folder).routes[0].answers[0]


def refused(tree: Any, folder: Path) -> UnreadableRoutes:
    with pytest.raises(UnreadableRoutes) as caught:
        read(tree, folder)
    assert caught.value.fix
    assert len(caught.value.message) < 500
    return caught.value


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
def test_each_operation_is_a_route_with_its_answer(version: str, tmp_path: Path) -> None:
    found = read(petstore(version), tmp_path)
    answers = {route.name: route.answers[0] for route in found.routes}
    assert list(answers) == ["GET /v1/pets", "POST /v1/pets", "GET /v1/pets/{id}", "DELETE /v1/pets/{id}"]
    assert [one.status for one in answers.values()] == [200, 201, 200, 204]
    assert [set(pet) for pet in answers["GET /v1/pets"].json_tree] == [{"id", "name"}] * 2
    assert answers["GET /v1/pets/{id}"].json_tree == {"id": 1, "name": "{{Rex}}"}
    gone = answers["DELETE /v1/pets/{id}"]
    assert not gone.has_json and [name for name, _ in gone.headers] == ["ETag"]
    assert (found.notes, found.base_path) == ((), "/v1")
    for route in found.routes:
        assert (route.rank, route.profile, route.capacity, route.conditions) == (None, None, None, ())


def test_the_same_seed_gives_the_same_routes_whatever_else_is_described(tmp_path: Path) -> None:
    tree = petstore("3.0.3")
    first = read(tree, tmp_path)
    assert read(tree, tmp_path) == first
    assert read(tree, tmp_path, seed=2) != first
    tree["paths"] = {"/new": tree["paths"]["/pets"], **dict(reversed(tree["paths"].items()))}
    names = {route.name: route for route in read(tree, tmp_path).routes}
    assert all(names[route.name] == route for route in first.routes)


def test_yaml_is_read_as_yaml_1_2(tmp_path: Path) -> None:
    text = """
        openapi: 3.0.3
        info: {title: Pets, version: '1'}
        paths:
          /pets:
            get:
              responses:
                200:
                  description: ok
                  content: {application/json: {example: {country: NO, day: 2020-01-01, n: 1.5, on: yes, no: ~}}}
    """
    tree = read_yaml(text, tmp_path).routes[0].answers[0].json_tree
    assert tree == {"country": "NO", "day": "2020-01-01", "n": 1.5, "on": "yes", "no": None}


def test_an_alias_stands_for_its_value(tmp_path: Path) -> None:
    text = "x-a: &a {description: ok}\nopenapi: 3.0.3\ninfo: {title: a, version: '1'}\n"
    assert read_yaml(f"{text}paths: {{/a: {{get: {{responses: {{'202': *a}}}}}}}}\n", tmp_path).routes[0].answers == (
        PlannedAnswer(status=202),
    )


@pytest.mark.parametrize(
    ("keys", "status"),
    [
        (["404", "202", "200"], 200),
        (["404", "2XX", "default"], 200),
        (["2XX", "204"], 204),
        (["404", "default"], 200),
        (["503", "404"], 404),
        (["5XX", "4XX"], 400),
        (["101", "404"], 404),
        (["101"], 200),
    ],
)
def test_the_response_that_is_taken(keys: list[str], status: int, tmp_path: Path) -> None:
    assert answer(of_responses({key: {"description": ""} for key in keys}), tmp_path) == PlannedAnswer(status=status)


@pytest.mark.parametrize(
    ("media", "wanted"),
    [
        ({"example": {"a": "{x}"}, "schema": PET}, {"a": "{{x}}"}),
        ({"example": None}, None),
        ({"example": '{"a": [1]}'}, {"a": [1]}),
        ({"example": "{a"}, "{{a"),
        ({"examples": {"z": {"value": 1}, "b": {"value": 2}}}, 2),
        (
            {"examples": {"a": {"externalValue": "http://x.example/"}}, "schema": {"type": "string", "default": "d"}},
            "d",
        ),
        ({"schema": {"type": "string", "example": "e{}"}}, "e{{}}"),
        ({"example": 10**30}, 10**30),
        ({"example": 2**63}, 2**63),
        ({}, {}),
    ],
)
def test_the_body_that_is_taken(media: Tree, wanted: object, tmp_path: Path) -> None:
    tree = of_responses({"200": json_response(**media)}, components={"schemas": {"Pet": {"type": "object"}}})
    found = answer(tree, tmp_path)
    assert found.has_json
    assert found.json_tree == wanted


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ({"text/csv": {"example": "a"}, "application/json": {"example": 1}}, PlannedAnswer(has_json=True, json_tree=1)),
        (
            {"text/csv": {"example": "a"}, "application/hal+json": {"example": 1}},
            PlannedAnswer(has_json=True, json_tree=1, headers=(("Content-Type", "application/hal+json"),)),
        ),
        ({"*/*": {"example": 1}}, PlannedAnswer(has_json=True, json_tree=1)),
        ({"text/csv": {"example": "{a}"}}, PlannedAnswer(text="{a}", headers=(("Content-Type", "text/csv"),))),
        ({"application/xml": {"example": {"a": 1}}}, PlannedAnswer(headers=(("Content-Type", "application/xml"),))),
        ({}, PlannedAnswer()),
    ],
)
def test_the_media_type_that_is_taken(content: Tree, wanted: PlannedAnswer, tmp_path: Path) -> None:
    assert answer(of_responses({"200": {"description": "", "content": content}}), tmp_path) == wanted


def test_headers_have_samples_but_those_that_follow_from_the_body(tmp_path: Path) -> None:
    sample = {"schema": {"type": "integer", "default": 3}}
    text = {"schema": {"type": "string"}}
    headers = {"X-Left": sample, "X-Tag": {**text, "example": "{a}"}, "Content-Length": sample}
    headers["X-Word"] = {**text, "example": "é"}
    tree = of_responses({"200": {"description": "", "headers": headers}}, "3.1.0")
    assert answer(tree, tmp_path).headers == (("X-Left", "3"), ("X-Tag", "{{a}}"))


@pytest.mark.parametrize("status", ["204", "304"])
def test_a_status_without_a_body_has_none(status: str, tmp_path: Path) -> None:
    assert answer(of_responses({status: json_response(example=1)}), tmp_path) == PlannedAnswer(status=int(status))


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("/a/{id}/b", "/a/{id}/b"),
        ("/a/{pet.id}", "/a/{pet_id}"),
        ("/a/{1}", "/a/{_1}"),
        ("/report.{format}", "/{format}"),
        ("/{a}-{b}/x", "/{a_b}/x"),
        ("/{a}/{a}", "/{a}/{a_2}"),
        ("/a%20b/c%2fd", "/a b/c%2Fd"),
        ("/a{b", "/a{{b"),
        ("/a?kind=x", "/a"),
        ("/a#b", "/a"),
        ("/", "/"),
    ],
)
def test_the_path_of_a_template(template: str, path: str, tmp_path: Path) -> None:
    tree = described({template: {"get": {"responses": {"200": {"description": ""}}}}})
    assert read(tree, tmp_path).routes[0].path == path


def test_a_widened_segment_is_told(tmp_path: Path) -> None:
    tree = described({"/report.{format}": {"get": {"responses": {"200": {"description": ""}}}}})
    assert any("`report.{format}`" in note for note in read(tree, tmp_path).notes)


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://a.example/api/v1/", "/api/v1"),
        ("/api", "/api"),
        ("api", "/api"),
        ("https://a.example", ""),
        ("/", ""),
        ("https://a.example/{tenant}", "/{tenant}"),
    ],
)
def test_the_path_of_the_first_server_leads(url: str, base: str, tmp_path: Path) -> None:
    tree = of_responses({"200": {"description": ""}}, servers=[{"url": url}, {"url": "/other"}])
    found = read(tree, tmp_path)
    assert found.routes[0].path == f"{base}/pets"
    assert (found.notes, found.base_path) == ((), base)


def test_the_servers_of_an_operation_are_nearer(tmp_path: Path) -> None:
    tree = of_responses({"200": {"description": ""}}, servers=[{"url": "/far"}])
    tree["paths"]["/pets"]["get"]["servers"] = [{"url": "/near"}]
    assert read(tree, tmp_path).routes[0].path == "/near/pets"


def test_routes_below_several_paths_have_none_in_common(tmp_path: Path) -> None:
    tree = of_responses({"200": {"description": ""}}, servers=[{"url": "/far"}])
    near = {"get": {"servers": [{"url": "/near"}], "responses": {"200": {"description": ""}}}}
    tree["paths"]["/owners"] = near
    assert read(tree, tmp_path).base_path == ""


def test_of_two_routes_for_the_same_requests_the_first_stays(tmp_path: Path) -> None:
    item = {"get": {"responses": {"200": {"description": ""}}}}
    found = read(described({"/a/{x}": item, "/a/{y}": item, "/-/x": item}), tmp_path)
    assert [route.name for route in found.routes] == ["GET /a/{x}"]
    assert ["GET /a/{y}" in found.notes[0], "GET /-/x" in found.notes[1]] == [True, True]


def test_a_path_item_may_be_a_reference(tmp_path: Path) -> None:
    tree = of_responses({"200": {"description": ""}})
    tree["paths"]["/cats"] = {"$ref": "#/paths/~1pets"}
    assert [route.name for route in read(tree, tmp_path).routes] == ["GET /pets", "GET /cats"]


@pytest.mark.parametrize(
    ("schema", "word"),
    [({"type": "string", "pattern": "^a"}, "pattern"), ({"type": "string", "minLength": 10**9}, "cut")],
)
def test_samples_that_may_not_fit_are_told(schema: Tree, word: str, tmp_path: Path) -> None:
    assert any(word in note for note in read(of_responses({"200": json_response(schema=schema)}), tmp_path).notes)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    monkeypatch.setattr(urllib.request, "urlopen", forbidden)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
@pytest.mark.parametrize(
    ("reference", "where"),
    [
        ("https://x.example/pet.json#/Pet", "another host"),
        ("//x.example/pet.json", "another host"),
        ("file:///etc/passwd", "another host"),
        ("../pet.yaml#/Pet", "another file"),
        ("#/components/schemas/None", "leads nowhere"),
        ("#anchor", "leads nowhere"),
    ],
)
def test_references_that_are_not_local_are_refused_by_name(
    reference: str, where: str, version: str, tmp_path: Path
) -> None:
    schema = {"type": "array", "items": {"$ref": reference}}
    for tree in (
        of_responses({"200": json_response(schema=schema)}, version),
        of_responses({"200": {"$ref": reference}}, version),
    ):
        message = refused(tree, tmp_path).message
        assert reference in message and where in message


@pytest.mark.usefixtures("no_network")
def test_what_no_answer_needs_is_not_read(tmp_path: Path) -> None:
    tree = of_responses({"200": {"description": ""}}, "3.1.0")
    tree["paths"]["/pets"]["get"]["requestBody"] = {"$ref": "https://x.example/body.json"}
    tree["webhooks"] = {"new": {"post": {"responses": {"200": {"$ref": "https://x.example/body.json"}}}}}
    assert len(read(tree, tmp_path).routes) == 1


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"swagger": "2.0", "info": {}, "paths": {}}, "Swagger 2.0"),
        (described({}, "3.2.0"), "3.2.0"),
        (described({}, "4"), "4"),
        (described({}), "no path"),
        (described({"/a": {}}), "no operation"),
        ({"a": 1}, "no OpenAPI description"),
        ([], "no OpenAPI description"),
        ("", "not JSON"),
        ('{"openapi": "3.0.3", "openapi": "3.0.3"}', "stands twice"),
        ('{"openapi": NaN}', "no number"),
        ('{"openapi": 1e999}', "no number"),
        ('{"openapi": "\\ud800"}', "U+D800"),
        ("[" * 3_000, "nested"),
        ("[" * 80 + "]" * 80, "levels"),
        (of_responses({"200": {}}), "$.paths"),
        (
            described({"/a": {"get": {"responses": {"200": {"$ref": "#/paths/~1a/get/responses/200"}}}}}),
            "back to itself",
        ),
        (of_responses({"200": json_response(example="x" * 1_000_001)}), "1 MB"),
        (of_responses({"200": {"description": ""}}, servers=[{"url": "http://[/"}]), "no URL"),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_and_where(tree: Any, words: str, tmp_path: Path) -> None:
    assert words in refused(tree, tmp_path).message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "line"),
        ("a: 1\na: 2", "line 2: `a` is written twice"),
        ("a: &a {b: *a}", "within the value"),
        ("a: &a {b: 1}\nc: {<<: *a}", "merge keys"),
        ("a: 1\n---\nb: 1", "one description"),
        ("? [a]\n: b", "key must be text"),
        (
            "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)),
            "at most 500,000",
        ),
    ],
)
def test_yaml_that_cannot_be_used_is_refused(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableRoutes) as caught:
        read_yaml(text, tmp_path)
    assert words in caught.value.message


def test_an_invalid_description_is_told_in_one_line_with_its_place(tmp_path: Path) -> None:
    tree = petstore("3.0.3")
    tree["paths"]["/pets"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]["type"] = 5
    problem = refused(tree, tmp_path)
    assert "/pets" in problem.message and "\n" not in problem.message


def test_size_and_number_of_routes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "ROUTES_MOST", 3)
    assert "more than 3" in refused(petstore("3.0.3"), tmp_path).message
    monkeypatch.setattr(reading, "NODES_MOST", 50)
    assert "more than 50" in refused(petstore("3.0.3"), tmp_path).message
    monkeypatch.setattr(reading, "BYTES_MOST", 100)
    assert "larger than" in refused(petstore("3.0.3"), tmp_path).message


def test_a_file_that_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"a: \xff")
    with pytest.raises(UnreadableRoutes, match="UTF-8"):
        read_openapi(tmp_path / "a.yaml", 1)


def every_place(tree: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, inner in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield (*place, key)
        yield from every_place(inner, (*place, key))


@pytest.mark.thorough
@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
@pytest.mark.parametrize(("turn", "value"), [*enumerate([None, 5, ["x"], "x"])], ids=repr)
def test_a_description_with_any_node_replaced_is_read_or_refused(
    turn: int, value: object, version: str, tmp_path: Path
) -> None:
    """Each value in place of every fourth node (by day every twelfth), since one description takes 30 milliseconds."""
    whole = petstore(version)
    outcomes: set[type] = set()
    for place in list(every_place(whole))[turn :: 4 if ALL else 12]:
        tree = copy.deepcopy(whole)
        node: Any = tree
        for key in place[:-1]:
            node = node[key]
        node[place[-1]] = value
        try:
            outcomes.add(type(read(tree, tmp_path)))
        except UnreadableRoutes as exc:
            assert exc.message and "\n" not in exc.message
            outcomes.add(type(exc))
    assert outcomes
    assert outcomes == {RoutesRead, UnreadableRoutes} or not ALL, "some nodes matter, others do not"
