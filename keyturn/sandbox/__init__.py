"""Real servers for a laptop and for the tests, and twins of the two vendors."""
