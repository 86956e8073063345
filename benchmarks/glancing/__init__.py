"""Shared by the rows of ``bench glance``: people who are spoken for, and what is measured of their lips."""
