"""What the benchmark of the interface is made of."""
