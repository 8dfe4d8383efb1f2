"""The simulator's twin: the same passes for arrays of scenarios at once, in numpy.

SimPy is the reference. The twin takes the same schedule from `prism.schedule.build_schedule`, prices its steps with the
same functions (`sim.price`, `prism.cost`, which take numbers or arrays), and replaces the queue of events by what the
events of a pass come to when they are worked out: a board's clock is an array with one time a scenario, and flows that
share the medium end at times that have a closed form. That needs the order in which messages take the air to be the
same in every scenario, which `sim.twin.coverage` decides; all else goes to SimPy.
"""
