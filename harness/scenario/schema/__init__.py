"""The shape of a scenario: pydantic models, the syntax of their values, and the JSON schema made from them."""
