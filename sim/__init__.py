"""The SimPy backend: simulated boards and a simulated medium that carry a schedule out in simulated time."""
