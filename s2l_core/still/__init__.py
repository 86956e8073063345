"""One picture that speaks: its own pixels, moved to the shapes that lips have in speech."""
