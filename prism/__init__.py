"""The vocabulary of Prism: shapes, partitions, plans, schedules, costs, profiles and records.

Nothing in this package runs a pass by itself. `sim` spends simulated time on a schedule, `hw` spends real time on it.
"""

__version__ = "0.1.0"
