"""Brings together the rows that several processes wrote: their clocks, and the calls of each request."""
