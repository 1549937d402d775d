"""A secret's turn, one verb a file. The order is the flow's, and every step can be repeated."""
