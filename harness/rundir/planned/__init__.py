"""Parts of a plan that have a module of their own: what fakes do by themselves, and what they answer."""
