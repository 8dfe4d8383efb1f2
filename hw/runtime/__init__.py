"""A pass carried out for real: a terminal device and workers that exchange over GLOO and record every step."""
