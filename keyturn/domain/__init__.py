"""Values and rules. No I/O, no vendor words, no framework but pydantic for the manifest."""
