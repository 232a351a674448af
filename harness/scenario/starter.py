"""The text of a scenario to start from: the commented template, or an existing scenario with its base merged in."""

from __future__ import annotations

import io
from typing import Any, Final

from harness.model.tree import MappingNode, Node, ScalarNode, SequenceNode
from harness.scenario.load import LoadedScenario
from harness.scenario.schema.scenario import Scenario

STARTER: Final = """\
# A scenario for tailgate: the load, the faults, and the gates that must hold meanwhile.
#   tailgate validate {file}      shows what a run would do
#   tailgate run {file}           runs it, and ends with PASS, FAIL or INCONCLUSIVE
# For completion in an editor: `tailgate schema > scenario.schema.json`, and write as the first line here
#   # yaml-language-server: $schema=./scenario.schema.json
# `tailgate init --from FILE` begins with what a compose file, an OpenAPI description or a HAR recording says.
name: one slow backend

# The service under test. `rung` is a variant of tailgate's reference aggregator. For your service write one of
#   command: uvicorn app:app --port {{port}}    tailgate starts it, with the addresses of its backends:
#   env: {{AZURE_URL: "{{azure.url}}"}}           the address of Toxiproxy's listener for azure
#   url: http://127.0.0.1:8000                it runs already
service: {{rung: timeout}}

# The backends that it calls. These are fakes behind Toxiproxy, with their latency without a fault.
upstreams:
  aws:   {{p50: 60ms, p99: 140ms}}
  azure: {{p50: 60ms, p99: 140ms}}
  gcp:   {{p50: 60ms, p99: 140ms}}

# The gateway before the service answers 504 after this time, as users would see it.
gateway: {{timeout: 2s}}

# Open model: requests arrive at this rate whether or not the service keeps up.
load:
  request: GET /v1/offers
  rate: 40/s
  warmup: 5s        # before t = 0; no gate counts it
  baseline: 50s     # without a fault, to compare with
  recovery: 25s     # after the fault

# What breaks, one after the other. Also: hang, down, reset, bandwidth, slicer, limit_data, slow_close.
faults:
  - {{upstream: azure, latency: 60s, for: 60s}}
  # CHECK: nothing breaks aws and gcp yet. Remove the # here and before their gates below; each makes the run longer.
  # - {{upstream: aws, latency: 60s, for: 60s}}
  # - {{upstream: gcp, latency: 60s, for: 60s}}

# What must hold. Each gate ends as pass, fail or inconclusive, at 95 % confidence.
gates:
  - p99 < 500ms during baseline
  - p99 < gateway.timeout during azure-latency
  - errors < 1% during azure-latency
  - complete > 99% during azure-latency       # answers contain the healthy backends' offers
  - recovery < 10s after azure-latency
  # - p99 < gateway.timeout during aws-latency
  # - errors < 1% during aws-latency
  # - complete > 99% during aws-latency
  # - recovery < 10s after aws-latency
  # - p99 < gateway.timeout during gcp-latency
  # - errors < 1% during gcp-latency
  # - complete > 99% during gcp-latency
  # - recovery < 10s after gcp-latency
"""
_WIDTH: Final = 110


def starter(file: str) -> str:
    """The commented scenario; its comments name the file `file`."""
    return STARTER.format(file=file)


def self_contained(loaded: LoadedScenario) -> str:
    """The scenario's text. What it extends is merged in, since a copy in another folder would not find that file."""
    if "extends" not in loaded.document.entries:
        return loaded.text
    comments = []
    for line in loaded.text.split("\n"):
        if not line.startswith("#"):
            break
        comments.append(f"{line}\n")
    tree = loaded.document
    ordered = {key: tree.entries[key] for key in Scenario.spelled_keys() if key in tree.entries and key != "extends"}
    return "".join(comments) + _dumped(MappingNode(tree.place, ordered, tree.keys))


def _dumped(tree: MappingNode) -> str:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = _WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    yaml.dump(_styled(tree, depth=0, key=""), out)
    return out.getvalue()


def _styled(node: Node, *, depth: int, key: str) -> Any:
    """For ruamel: short mappings and lists in one line, gates one a line."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    if isinstance(node, ScalarNode):
        if isinstance(node.value, str) and not node.plain and "\n" not in node.value:
            return DoubleQuotedScalarString(node.value)
        return node.value
    if isinstance(node, SequenceNode):
        items = CommentedSeq(_styled(item, depth=depth + 1, key="") for item in node.items)
        if key != "gates" and all(isinstance(item, ScalarNode) for item in node.items):
            items.fa.set_flow_style()
        return items
    entries = CommentedMap({name: _styled(value, depth=depth + 1, key=name) for name, value in node.entries.items()})
    if depth and all(isinstance(value, ScalarNode) for value in node.entries.values()) and _length(node) < _WIDTH - 20:
        entries.fa.set_flow_style()
    return entries


def _length(node: MappingNode) -> int:
    return sum(
        len(name) + len(str(value.value)) + 4 for name, value in node.entries.items() if isinstance(value, ScalarNode)
    )
