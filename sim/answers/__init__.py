"""Answers, not grids: what is asked of the simulator, solved for, with how sure the answer is.

Crossovers, the bandwidth that is needed, boards that are worth it, plans that no other beats in everything, the
parameter that decides, and how much latency scatters. Each module answers one question; `prism ask` asks them.
"""
