"""Texts that several kinds of gate share: how requests ended, what would decide a gate, and figures in their units."""
