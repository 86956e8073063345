"""Measuring speakers, and what they are compared with."""
