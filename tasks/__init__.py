"""HOW PREFECT SEES IT: names, retries, timeouts, tags around one call of a service each."""
