"""How people and programs say who they are."""
