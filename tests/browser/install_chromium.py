"""Debian's Chromium and its driver for the browser tests: installed where they are missing and apt-get may install.

Elsewhere it says so and ends well, and the tests skip by name. With CI=true a browser that is still missing fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

PROGRAMS = ("chromium", "chromedriver")
PACKAGES = ("chromium", "chromium-driver")


def missing() -> list[str]:
    return [name for name in PROGRAMS if shutil.which(name) is None]


def main() -> int:
    """Install what is missing."""
    if missing() and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for arguments in (("update", "-qq"), ("install", "-y", "-qq", "--no-install-recommends", *PACKAGES)):
            subprocess.run(("apt-get", *arguments), env=environment, stdout=subprocess.DEVNULL, check=False)
    if lacking := missing():
        sys.stderr.write(
            f"no {' and no '.join(lacking)} here: the browser tests skip; apt-get install chromium-driver\n"
        )
    return int(bool(lacking) and os.environ.get("CI") == "true")


if __name__ == "__main__":
    sys.exit(main())
