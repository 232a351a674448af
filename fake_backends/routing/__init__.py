"""How a fake with routes answers: which route a request matches, and how that route's answer is made."""
