"""What a gate may compare with: the baseline of the same run, or main, the file given by `--baseline`."""
