"""Jobs for several machines: a plan of tasks, each of which any machine can do."""
