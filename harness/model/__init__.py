"""The parts of scenario models: a strict pydantic base, the value types that users write, and the
tree of a YAML text with positions."""
