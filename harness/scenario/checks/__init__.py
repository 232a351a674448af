"""Checks of a computed plan: can each window and each gate be decided? Each answers with a fix."""
