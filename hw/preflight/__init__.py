"""Preflight: what a board has to have before a run on it can be right, looked up without changing anything."""
