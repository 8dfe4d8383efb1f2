"""From a corpus of measured runs, of several models, plans and bandwidths, to one profile of the machine."""
