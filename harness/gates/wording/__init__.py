"""Words that several kinds of gate share: how requests ended, what would decide a gate, figures in their units."""
