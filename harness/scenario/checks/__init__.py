"""Checks of a computed plan: can each window and each gate be decided? Each problem comes with a fix."""
