"""The whole head: its surface, the background behind it, its expression, and rendering it for other cameras."""
