"""How the embedded speaker is made: a voice, a face that speaks with it, and the truth about both."""
