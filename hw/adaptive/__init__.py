"""Real boards as a backend of the adaptive loop."""
