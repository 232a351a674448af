"""What scenario models are made of: a strict pydantic base, and the value types that users write."""
