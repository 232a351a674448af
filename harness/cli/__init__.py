"""The command line: one command per file, imported only when it is called."""

from __future__ import annotations

from harness.cli.group import main

__all__ = ["main"]
