"""What `prism explore` answers: pure functions from a question to a breakdown, a crossover map and a Pareto front.

Everything comes from `sim.twin`, which carries out all scenarios of an answer at once. `sim.explorer.server` hands the
answers to the page in `sim/explorer/page`, which draws them.
"""
