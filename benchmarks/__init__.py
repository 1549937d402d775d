"""What is measured, and with what. Nothing here is part of the package."""
