"""The syntax of what may hold a secret: a reference to a variable, and the value of a header. Regular expressions."""

from __future__ import annotations

from typing import Final

REFERENCE: Final = r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?\}"
"""Name and default. A default may not contain braces, or the search for its end would be quadratic in the text."""
HEADER_VALUE: Final = r"[\t\x20-\x7e\xa0-\xff]*"
