"""The stages of training, and the loop, losses and data that they share."""
