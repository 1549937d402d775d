"""Tests on a whole sandbox. A package, so that the sandbox stops after the last of them and burdens no other test."""
