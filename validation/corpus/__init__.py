"""A corpus of measured runs held against what the simulator says of cases that its calibration never saw."""
