"""The supervisor process, which starts and ends every child and every fault, and tailgate's client of it."""
