"""Scenarios: from a YAML file to models without problems, or to all problems at once."""

from __future__ import annotations

from harness.scenario.load import LoadedCell, LoadedScenario, load_scenario
from harness.scenario.source.catalog import catalog_names, find_scenario

__all__ = ["LoadedCell", "LoadedScenario", "catalog_names", "find_scenario", "load_scenario"]
