"""What Blender needs besides buttons: registration, properties, preferences, strips and the worker's client."""
