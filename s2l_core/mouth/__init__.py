"""New mouths in frames of footage: which frames get one, and how it is painted."""
