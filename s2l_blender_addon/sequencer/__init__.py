"""The strips of the Video Sequencer: read, stacked, placed and mixed."""
