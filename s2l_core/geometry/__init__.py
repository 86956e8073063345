"""Cameras, head poses, and the mapping of pixels between views of a head."""
