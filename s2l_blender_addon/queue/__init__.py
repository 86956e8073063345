"""Jobs that wait and run, what outlives Blender of them, and what becomes of their results."""
