"""What is lost of an upstream when one of its keys cannot be read: whatever is only right together with it. Pure."""

from __future__ import annotations

from typing import Any, Final

TOGETHER: Final = (("p50", "p99", "profile"), ("provider", "page"))
SIZES: Final = ("rows", "page", "provider")
"""What decides how long an answer is."""


def lost_with(held: dict[str, Any], key: str, meant: str | None) -> set[str]:
    """`meant`: what an unknown key was meant to be; empty where nobody knows, None of a key that is known."""
    lost = {key}
    if meant and meant not in held:
        lost.add(meant)
    elif meant == "":
        lost |= {other for group in (*TOGETHER, SIZES) for other in group if other not in held}
    return lost | {other for group in TOGETHER if lost & set(group) for other in group}
