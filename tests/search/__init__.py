"""Tests of harness/search."""
