"""Gong: the credential probe at its token endpoint."""
