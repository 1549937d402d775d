"""Vault, or OpenBao, through hvac."""
