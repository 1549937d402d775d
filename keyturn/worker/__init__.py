"""A Prefect worker whose runs start at once: each is forked from a process that has everything imported."""
