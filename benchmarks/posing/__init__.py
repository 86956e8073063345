"""Parts of the benchmark of re-posed heads: ground truth, methods of turning a head, and their comparison."""
