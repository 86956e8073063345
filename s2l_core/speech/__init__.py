"""From sound to the numbers that move lips."""
