"""The suite of real boards: run on a Jetson pair by `tox -e hardware`, on one Linux box by `tox -e testbed`.

PRISM_PEERS names the workers (`prism worker` runs on each); without it boards are played on this machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import pytest

PEERS = os.environ.get("PRISM_PEERS")
ADDRESS = os.environ.get("PRISM_ADDRESS")
INTERFACE = os.environ.get("PRISM_INTERFACE")
BANDWIDTH_MBPS = float(os.environ.get("PRISM_BANDWIDTH_MBPS", "400"))
MODEL = os.environ.get("PRISM_MODEL", "vit_tiny_patch16_224")


def where() -> list[str]:
    """Options of `prism profile` that say where to measure."""
    if PEERS is None:
        return ["--testbed"]
    options = ["--peers", PEERS, "--throttle", "paced"]
    options += ["--address", ADDRESS] if ADDRESS else []
    return options + (["--interface", INTERFACE] if INTERFACE else [])


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "hardware":
            item.add_marker(pytest.mark.torch)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module")
def boards() -> Iterator[object]:
    """Two boards or more, connected, with the link throttled. A worker serves one at a time: give it back soon."""
    pytest.importorskip("torch")
    from hw.runtime.settings import Settings
    from prism.cli.boards import connected, on_testbed, parse_peers

    settings = Settings(MODEL, parse_peers(PEERS), interface=INTERFACE, throttle="paced", timeout_s=30)
    if PEERS is None:
        opened = on_testbed(settings, 2, BANDWIDTH_MBPS, "--meter", "none")
    else:
        from dataclasses import replace

        opened = connected(replace(settings, address=ADDRESS or settings.address))
    with opened as found:
        found.terminal.set_bandwidth(BANDWIDTH_MBPS)
        yield found
