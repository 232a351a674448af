"""The syntax of gates: the tokenizer that every kind of gate parses with, and the metric names of other tools."""
