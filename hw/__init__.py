"""The hardware backend: real processes that carry a schedule out over torch.distributed with GLOO."""

import os

# Before torch is imported: c10d warns of every address that has no name, and a testbed's have none.
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
