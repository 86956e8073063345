"""How good a speaker is, and against what."""
