"""Markdown as GitHub reads it, as far as the tests of our own summaries need it."""

from __future__ import annotations

import re

_BLOCK = re.compile(r"^(`{3,})text\n.*?^ {0,3}\1`*[ \t]*$", re.MULTILINE | re.DOTALL)


def without_code(text: str) -> str:
    """What is left to act as markup: without fenced blocks (closed by the first fence that is as long) and spans."""
    return re.sub(r"(`+).*?\1", "", _BLOCK.sub("", text))
