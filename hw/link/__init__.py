"""The link between boards: how it is throttled, what was done to it, and whether it then does what its rate says."""
