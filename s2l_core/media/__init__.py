"""Video and sound files: decoded and encoded by timestamp with PyAV (the libraries of FFmpeg)."""
