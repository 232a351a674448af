"""How much of a search a test does: a quarter in `make test`, all of it in `make nightly`, which sets this variable.

Such a test has the mark `thorough`.
"""

from __future__ import annotations

import os
from typing import Final

ALL: Final = bool(os.environ.get("TAILGATE_THOROUGH"))


def examples(most: int) -> int:
    return most if ALL else max(most // 4, 25)
