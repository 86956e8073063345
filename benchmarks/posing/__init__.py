"""What the benchmark of re-posed heads is made of: the truth, the ways to turn a head, and how close they come."""
