"""Simulated against measured: held-out comparison, gates and reports."""
