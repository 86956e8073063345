"""Shared by the benchmarks of speakers: the clip, the measurements on it, and the file of results."""
