"""Parts of the benchmark of the interface."""
