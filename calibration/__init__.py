"""From measurements to a system profile: stage cost models with standard errors and a validity range."""
