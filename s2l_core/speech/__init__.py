"""Speech: features, motion codes, silence, and synchrony with the lips."""
