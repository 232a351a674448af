"""The supervisor process, which owns every child, every fault and the undoing of both; tailgate's end of its pipe."""
