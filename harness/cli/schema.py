"""`tailgate schema`: prints the JSON Schema of scenarios, or of a document that a command writes."""

from __future__ import annotations

import click

from harness.cli.display import output


@click.command("schema")
@click.argument("what", type=click.Choice(["scenario", "results", "capacity", "frontier", "plan"]), default="scenario")
def schema_command(what: str) -> int:
    """Print the JSON Schema of scenarios (the default), of results.json, capacity.json, frontier.json, or of what
    `tailgate plan --json` prints.

    For completion in an editor: `tailgate schema > scenario.schema.json`, and begin a scenario with
    `# yaml-language-server: $schema=./scenario.schema.json`.
    """
    from harness.scenario.schema import json_schema

    of = {
        "scenario": json_schema.scenario_schema,
        "results": json_schema.results_schema,
        "capacity": json_schema.capacity_schema,
        "frontier": json_schema.frontier_schema,
        "plan": json_schema.plan_schema,
    }
    output.document(of[what]())
    return 0
