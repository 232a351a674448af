"""A scenario drafted from what a team has already, for `tailgate init --from`. Reads those files, writes none."""

from harness.scenario.draft.draft import DraftSources, draft_sources, drafted
from harness.scenario.draft.parts import Draft
from harness.scenario.draft.scenario_text import scenario_text

__all__ = ["Draft", "DraftSources", "draft_sources", "drafted", "scenario_text"]
