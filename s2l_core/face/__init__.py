"""Faces: detection, landmarks, recognition, head pose and surface."""
