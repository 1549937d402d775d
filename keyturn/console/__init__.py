"""The web console: pages, a JSON API, sign-in, and signals for monitoring. No state of its own: any number may run."""
