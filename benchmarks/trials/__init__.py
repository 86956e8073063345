"""What benchmarks of speakers share: the clip, how anything is measured on it, and where the figures are kept."""
