"""A speaker's head in the scene, and how it is rendered."""
