"""Comparing the stores with each other: `keyturn doctor --deep`. Reads everything, and changes nothing."""
