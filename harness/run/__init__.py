"""One `tailgate run`, from scenarios to verdicts: `invocation` runs all of them, `run` the steps of one run."""
