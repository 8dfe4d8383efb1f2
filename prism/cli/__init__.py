"""The command `prism`: the composition root. Each command loads what it needs when it runs, so that help stays quick."""
