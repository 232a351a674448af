"""The parts of scenario models: a strict pydantic base, the value types that users write, the tree of a YAML text with
positions, and the registry of kinds by name."""
