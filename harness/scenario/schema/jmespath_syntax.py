"""Whether a text is a JMESPath expression."""

from __future__ import annotations

import warnings

from pydantic_core import PydanticCustomError

from harness.model.value_types import refusal
from harness.text import one_line


def jmespath_refusal(text: str, example: str) -> PydanticCustomError | None:
    """Why it is none; None if it is one. `example`: the fix."""
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        with warnings.catch_warnings(action="ignore"):
            jmespath.compile(text)
    except (JMESPathError, ValueError) as exc:
        return refusal(f"not a JMESPath expression: {one_line(str(exc).partition(chr(10))[0])}", example)
    except RecursionError:
        return refusal("this JMESPath expression is nested too deeply", example)
    return None
