"""A batch on a rung: lease, pace, run, defer."""
