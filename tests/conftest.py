"""What all tests share."""

from __future__ import annotations

import os

import hypothesis

# No deadlines: environments run side by side, and a slow example is no wrong one. CI draws the same examples each time.
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, database=None, print_blob=True)
hypothesis.settings.load_profile("repeatable" if os.environ.get("CI") == "true" else "local")
