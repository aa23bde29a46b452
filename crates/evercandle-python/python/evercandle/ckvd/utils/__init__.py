"""Where programs import from, as in the other package."""
