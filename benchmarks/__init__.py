"""Benchmarks, each of which prints a table and writes a JSON file if the user asks for one."""
