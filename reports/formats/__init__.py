"""The formats a report comes in, one a file; each knows the names of its files and how to write them."""
