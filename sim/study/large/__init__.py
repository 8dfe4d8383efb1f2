"""Sweeps of a million points: laid out as arrays, simulated by the twin chunk by chunk, written as Parquet.

The small study of `sim.study` keeps every point as an object and solves for crossovers; here a point is a number, and
what is kept of it is a row of the file and its part in a running summary.
"""
