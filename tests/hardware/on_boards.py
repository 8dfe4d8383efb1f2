"""The commands of `tox -e hardware` around its tests: what they need to know of the boards is in PRISM_* variables.

`doctor` is the preflight; `sweep` measures, calibrates from the runs, and writes both to PRISM_OUT.
"""

from __future__ import annotations

import os
import subprocess
import sys

PRISM = (sys.executable, "-m", "prism.cli.main")


def variable(name: str) -> str:
    """A variable that has to be set."""
    value = os.environ.get(name)
    if not value:
        sys.exit(
            f"tox -e hardware: set {name}; for example: PRISM_PEERS=192.168.1.12 PRISM_ADDRESS=192.168.1.11 "
            "PRISM_INTERFACE=wlan0 tox -e hardware"
        )
    return value


def commands(what: str) -> list[list[str]]:
    """The commands to run, in order."""
    peers, address, interface = (variable(f"PRISM_{name}") for name in ("PEERS", "ADDRESS", "INTERFACE"))
    if what == "doctor":
        first, _, port = peers.split(",")[0].partition(":")
        at = ["--peer", first, *(["--port", port] if port else []), "--interface", interface]
        return [["doctor", "--require-cuda", *at]]
    out = os.environ.get("PRISM_OUT", "out/hardware")
    os.makedirs(out, exist_ok=True)  # noqa: PTH103
    boards = ["--peers", peers, "--address", address, "--interface", interface]
    boards += ["--throttle", os.environ.get("PRISM_THROTTLE", "paced")]
    boards += ["--passes", os.environ.get("PRISM_PASSES", "200")]
    return [
        ["profile", *boards, "--out", f"{out}/runs.jsonl", "--map", f"{out}/map.json"],
        ["calibrate", f"{out}/runs.jsonl", "--out", f"{out}/profile.json"],
    ]


def main() -> None:
    for command in commands(sys.argv[1]):
        print("prism", *command, flush=True)  # noqa: T201
        code = subprocess.run([*PRISM, *command], check=False).returncode
        if code:
            sys.exit(code)


if __name__ == "__main__":
    main()
