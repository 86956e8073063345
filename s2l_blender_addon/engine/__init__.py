"""The environment that computes: how it is installed, found, started and asked."""
