"""The command `prism`: the composition root. Commands load what they need when they run: help stays quick."""
