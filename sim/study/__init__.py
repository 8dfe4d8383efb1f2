"""What-if studies: a grid of scenarios, the crossovers in it, and the report that answers "is it worth splitting?"."""
