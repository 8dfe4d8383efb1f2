"""Requests served one after another on a link whose bandwidth changes: the simulator's end of the adaptive loop."""
