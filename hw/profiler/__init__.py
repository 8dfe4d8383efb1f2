"""Profiling: which cases to measure, in which order and how often, kept run by run. What measures is passed in."""
