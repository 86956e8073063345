"""What ``benchmarks/farm.py`` is made of."""
