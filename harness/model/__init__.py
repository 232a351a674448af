"""The parts of scenario models: a strict pydantic base, and the value types that users write."""
