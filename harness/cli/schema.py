"""`tailgate schema`: prints the JSON Schema of scenarios or of results.json."""

from __future__ import annotations

import click

from harness.cli.display import output


@click.command("schema")
@click.argument("what", type=click.Choice(["scenario", "results"]), default="scenario")
def schema_command(what: str) -> int:
    """Print the JSON Schema of scenarios (the default) or of results.json.

    For completion in an editor: `tailgate schema > scenario.schema.json`, and begin a scenario with
    `# yaml-language-server: $schema=./scenario.schema.json`.
    """
    from harness.scenario.schema.json_schema import results_schema, scenario_schema

    output.document(scenario_schema() if what == "scenario" else results_schema())
    return 0
