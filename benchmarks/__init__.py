"""Measurements side by side, each printing a table and, if asked, a JSON file."""
