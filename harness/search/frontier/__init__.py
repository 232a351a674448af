"""How slow, how broken, how long gone an upstream may be before a gate falls: a search over the levels of one fault."""
