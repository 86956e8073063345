"""Strips of the Video Sequencer: finding them, reading their timing, stacking, placing and mixing them."""
