"""Scenarios: a YAML file is read into checked models, or all of its problems are reported at once."""

from __future__ import annotations

from harness.scenario.load import LoadedCell, LoadedScenario, load_scenario
from harness.scenario.source.catalog import catalog_names, find_scenario

__all__ = ["LoadedCell", "LoadedScenario", "catalog_names", "find_scenario", "load_scenario"]
