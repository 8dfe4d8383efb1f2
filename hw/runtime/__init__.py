"""A pass carried out for real: a terminal device and workers that exchange over GLOO and record every step."""

import os

# Before torch is imported: c10d warns of every address that has no name, and a testbed's have none.
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
