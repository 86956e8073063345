"""The head as a whole: its surface and what is behind it, moved and re-posed."""
