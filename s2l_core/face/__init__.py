"""The face in a picture: landmarks, head pose and surface."""
