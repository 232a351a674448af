"""`redirect_loop: true`: every address redirects to itself; only a client that counts its hops comes back."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from harness import behaviour
from harness.faults.faked import Faked, at_once
from harness.faults.fault import Circumstances, Effect
from harness.plan import Proof


class RedirectLoop(Faked):
    KIND: ClassVar = "redirect_loop"

    redirect_loop: Literal[True] = Field(description="Redirect every address to itself")

    @property
    def text(self) -> str:
        return "redirect loop"

    def compile(self, met: Circumstances) -> Effect:
        return at_once(behaviour.RedirectLoop(), Proof(kind="answered", status=302))
