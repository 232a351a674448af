"""`${VAR}`: filled in at start, redacted afterwards."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.rundir.plan import Plan
from harness.secrets.expand import Expander, is_redactable, known_secrets, refuse_unsendable, short_secrets
from tests.rundir.recording import make_plan


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("${PG_PASS}", "s3cret-word"),
        ("postgres://app:${PG_PASS}@db/${NAME:-app}", "postgres://app:s3cret-word@db/app"),
        ("${EMPTY:-default}", "default"),
        ("[${EMPTY}]", "[]"),
        ("$PG_PASS $${", "$PG_PASS $${"),
    ],
)
def test_references_are_filled_in(text: str, expected: str) -> None:
    assert Expander({"PG_PASS": "s3cret-word", "EMPTY": ""})(text) == expected


def test_a_variable_that_is_not_set_is_named_with_its_way_out() -> None:
    with pytest.raises(UsageError, match=r"\$\{PG_PASS\}, which is not set") as caught:
        Expander({})("${PG_PASS}")
    assert "export PG_PASS" in caught.value.fix


def test_only_values_from_the_environment_that_can_be_secrets_are_remembered() -> None:
    expand = Expander({"TOKEN": "abcdef123", "PORT": "8080"})
    expand("${TOKEN} ${PORT} ${OTHER:-not-secret}")
    assert expand.secrets == {"abcdef123"}


@pytest.mark.parametrize(
    ("name", "value", "counts"),
    [
        ("HOME_PAGE", "/index", True),
        ("PORT", "8080", False),
        ("DB_PASS", "abcd", True),
        ("API_KEY", "k-123", True),
        ("PIN", "123", False),
        ("MONKEY", "abcd", False),
        ("TOKEN", "  ab  ", False),
        ("TOKEN", "abcd\n", True),
    ],
)
def test_a_short_value_is_a_secret_where_it_is_called_one(name: str, value: str, counts: bool) -> None:
    assert is_redactable(name, value) is counts
    warned = [found for found, _ in short_secrets(f"x ${{{name}}}", {name: value})]
    assert warned == ([name] if name in ("PIN", "TOKEN") and not counts else [])


def _plan(header: str = "", path: str = "/") -> Plan:
    plan = make_plan()
    request = plan.load.requests[0].model_copy(
        update={"headers": {"Authorization": header}, "path": path, "body": "${C}"}
    )
    service = plan.service.model_copy(update={"env": {"X": "${A} ${B:-b}"}, "argv": ("serve", "${D}")})
    return plan.model_copy(update={"load": plan.load.model_copy(update={"requests": (request,)}), "service": service})


def test_every_place_where_variables_are_filled_in_is_known() -> None:
    environ = {name: f"{name.lower()}-secret" for name in ("A", "C", "D", "E", "F", "UNUSED")}
    found = known_secrets(_plan("Bearer ${E}", "/x?y=${F}"), environ)
    assert found == {"a-secret", "c-secret", "d-secret", "e-secret", "f-secret"}


@pytest.mark.parametrize("value", ["token\n", "to\rken", "日本語です", "a\x00b"])
def test_a_variable_that_no_header_could_carry_is_refused_before_every_request_fails(value: str) -> None:
    with pytest.raises(
        UsageError, match=r"the value of \$\{T\} cannot be sent in the header `Authorization`"
    ) as caught:
        refuse_unsendable(_plan("Bearer ${T}"), {"T": value})
    assert value.strip() not in str(caught.value)
    assert 'export T="$(cat FILE)"' in caught.value.fix
    with pytest.raises(UsageError, match="the path of"):
        refuse_unsendable(_plan("x", "/x?t=${T}"), {"T": value})
    refuse_unsendable(_plan("Bearer ${T}", "/x?t=${T}"), {"T": "abc"})
