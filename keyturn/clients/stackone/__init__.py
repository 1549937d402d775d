"""StackOne: profiles, connect sessions, accounts and actions."""
