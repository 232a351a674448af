"""Tests of `tailgate frontier`."""
