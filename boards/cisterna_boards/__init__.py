"""Board files: one a board."""
