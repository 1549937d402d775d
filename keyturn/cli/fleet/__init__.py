"""Commands over many integrations. Like all commands, they import what they need when they run."""
