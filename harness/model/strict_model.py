"""`StrictModel`: the base of models of mappings in a scenario; each of its errors comes with a fix.

It reports all errors of a mapping at once; plain pydantic skips the validators of a whole model if one field is wrong.
It does not know about files: `harness.scenario.source.diagnostics` turns the errors' paths into positions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from harness.model.meant_quantities import leading_number
from harness.model.value_types import closest, did_you_mean, kind_of, not_text, refusal

_WHOLE_MOST: Final = 2.0**53
"""From here on a number with a decimal point may be another whole number than the one that was written."""
UNKNOWN_MOST: Final = 100
"""The most unknown keys of one mapping that are reported: a file with more is probably not a scenario."""


class StrictModel(BaseModel):
    """A mapping of a scenario. Unknown keys, wrong types and violated either-or rules are reported together."""

    # built when it is first used, and then whole: a validator for every part of it would be built and not be used
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_default=True, defer_build=True)

    ONE_OF: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Groups of keys of which exactly one must be written."""
    AT_MOST_ONE: ClassVar[tuple[tuple[str, ...], ...]] = ()
    SHORT_FOR: ClassVar[str] = ""
    """The key that a plain string stands for."""
    ALSO_MEANT: ClassVar[tuple[str, ...]] = ()
    """Keys that make the mapping one of another kind; an unknown key may be a misspelling of them."""

    @classmethod
    def spelled_keys(cls) -> tuple[str, ...]:
        """The keys as a scenario has them: aliases where fields have one."""
        return tuple(field.alias or name for name, field in cls.model_fields.items())

    @classmethod
    def may_lack(cls, group: tuple[str, ...], raw: dict[str, Any]) -> bool:
        """Whether this mapping needs no key of a group of `ONE_OF`. Subclasses override it."""
        return False

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        """Errors between fields that are each valid, as (key, refusal). Subclasses override it."""
        yield from ()

    @model_validator(mode="wrap")
    @classmethod
    def _all_at_once(cls, raw: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(raw, cls):
            return raw
        if isinstance(raw, str) and cls.SHORT_FOR:
            raw = {cls.SHORT_FOR: raw}
        if not isinstance(raw, dict):
            raise refusal(f"expected a mapping, not {kind_of(raw)}", f"its keys: {', '.join(cls.spelled_keys())}")
        spelled = cls.spelled_keys()
        # a misspelled key is not reported as missing too
        meant = {closest(key, spelled) for key in islice((key for key in raw if key not in spelled), UNKNOWN_MOST)}
        errors = [*_unknown_keys(spelled, raw, cls.ALSO_MEANT), *_broken_groups(cls, raw, meant)]
        known = {key: value for key, value in raw.items() if key in spelled}
        try:
            part = handler(known)
        except ValidationError as exc:
            errors += [_translated(error) for error in exc.errors(include_url=False) if not _follows(error, meant)]
        else:
            # no checks between fields if a key is unknown, since it may be a misspelling of one of them
            found_between = part.findings() if len(known) == len(raw) else ()
            errors += [_detail((key,), found, known.get(key)) for key, found in found_between]
            if not errors:
                return part
        raise ValidationError.from_exception_data(cls.__name__, errors)


def _detail(loc: tuple[int | str, ...], error: PydanticCustomError, value: Any) -> InitErrorDetails:
    return InitErrorDetails(type=error, loc=loc, input=value)


def _unknown_keys(known: tuple[str, ...], raw: dict[str, Any], also: tuple[str, ...]) -> Iterator[InitErrorDetails]:
    unknown = ((key, value) for key, value in raw.items() if key not in known)
    for key, value in islice(unknown, UNKNOWN_MOST):
        candidates = (*also, *known)
        fix, meant = did_you_mean(key, candidates), closest(key, candidates)
        found = refusal(f"unknown key `{key}`", fix, at_key=True, meant_key=meant)
        yield _detail((key,), found, value)


def _follows(error: Any, meant: set[str]) -> bool:
    """Whether the error only follows from another one that is reported."""
    if error["type"] == "missing":
        return len(error["loc"]) == 1 and error["loc"][-1] in meant
    # pydantic counts valid entries only
    return error["type"] == "too_short" and bool(error["input"])


def _broken_groups(part: type[StrictModel], raw: dict[str, Any], meant: set[str]) -> Iterator[InitErrorDetails]:
    for group in part.ONE_OF:
        if all(raw.get(key) is None for key in group) and not meant & set(group) and not part.may_lack(group, raw):
            spelled = ", ".join(f"`{key}`" for key in group[:-1])
            found = refusal(f"one of {spelled} or `{group[-1]}` is missing", f"add {group[0]}: …", at_key=True)
            yield _detail((), found, raw)
    for group in (*part.ONE_OF, *part.AT_MOST_ONE):
        written = [key for key in raw if key in group and raw[key] is not None]
        for extra in written[1:]:
            found = refusal(f"`{extra}` and `{written[0]}` exclude each other", "keep one of them", at_key=True)
            yield _detail((extra,), found, raw[extra])


# ---------------------------------------------------------------- pydantic's own errors, in plain words


def _translated(error: Any) -> InitErrorDetails:
    loc = tuple(error["loc"])
    if error["type"] == "problem":
        found = PydanticCustomError("problem", "{message}", dict(error["ctx"]))
    else:
        found = _in_words(error["type"], loc, error["input"], error.get("ctx", {}), error["msg"])
    return _detail(loc, found, error["input"])


def _in_words(
    kind: str, loc: tuple[int | str, ...], value: Any, context: dict[str, Any], message: str
) -> PydanticCustomError:
    match kind:
        case "missing":
            return refusal(f"`{loc[-1]}` is missing", f"add {loc[-1]}: …", at_key=True)
        case "string_type":
            return not_text(value)
        case "int_type" | "int_from_float":
            return refusal(f"expected a whole number, not {kind_of(value)}", _whole_number(value))
        case "bool_type":
            return refusal(f"expected true or false, not {kind_of(value)}")
        case "tuple_type" | "list_type":
            return refusal(f"expected a list, not {kind_of(value)}", "write it in [ ]")
        case "dict_type" | "model_type":
            return refusal(f"expected a mapping, not {kind_of(value)}")
        case "literal_error" if context.get("expected") == "True":
            denied = value is False or str(value).lower() in ("false", "no", "off")
            fix = "remove the fault, or write true" if denied else "write true"
            return refusal(f"expected true, not {kind_of(value)}", fix)
        case "literal_error":
            words = re.findall(r"'([^']*)'", str(context.get("expected", "")))
            expected = f"expected {' or '.join(words) or context.get('expected')}"
            return refusal(
                f"{expected}, not {kind_of(value)}", did_you_mean(value if isinstance(value, str) else "", words)
            )
        case "greater_than" | "greater_than_equal":
            return refusal(f"{value} is too small here", f"write at least {context.get('ge', context.get('gt'))}")
        case "less_than" | "less_than_equal":
            return refusal(f"{value} is too large here", f"write at most {context.get('le', context.get('lt'))}")
        case "string_too_short" | "string_too_long" | "too_short" | "too_long":
            return _wrong_length(kind, value, context)
        case _:
            return refusal(message)


def _whole_number(value: Any) -> str:
    """A fix with the whole number that is meant; empty if there is none."""
    number, rest = leading_number(value) if isinstance(value, str) else (f"{value}", "")
    try:
        exact = float(number) if number and not rest.strip() and not isinstance(value, bool) else math.nan
    except ValueError:
        return ""
    if not abs(exact) < _WHOLE_MOST:
        return ""
    return f"write {' or '.join(dict.fromkeys((f'{math.floor(exact)}', f'{math.ceil(exact)}')))}"


def _wrong_length(kind: str, value: Any, context: dict[str, Any]) -> PydanticCustomError:
    match kind:
        case "string_too_short":
            return refusal("expected a text that is not empty")
        case "too_short":
            what = "mapping" if isinstance(value, dict) else "list"
            return refusal(f"this {what} is empty", "leave the key out, or write at least one entry")
        case _:
            unit = "characters" if kind == "string_too_long" else "entries"
            return refusal(f"more than {context['max_length']:,} {unit} are too many here", "write fewer")
