"""Energy of a board while passes run: one adapter a meter, a background sampler, and what an energy is worth."""
