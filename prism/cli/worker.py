"""`prism worker`: a board that waits for a terminal device."""

from __future__ import annotations

from pathlib import Path

import click

from prism.cli.output import json_option, print_line, say


@click.command(epilog="Example, on the second board: prism worker --interface wlan0 --checkpoint vit_base.safetensors")
@click.option("--address", default="0.0.0.0", show_default=True, help="IPv4 address to listen on.")
@click.option("--port", type=int, default=29600, show_default=True, help="Port of the control channel; 0 for any.")
@click.option("--interface", help="Network interface for GLOO.  [default: what GLOO_SOCKET_IFNAME says]")
@click.option("--checkpoint", type=Path, help="Weights on this board, .pth or .safetensors; the same on every board.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, or auto: cuda where there is one.")
@click.option(
    "--meter", default="auto", show_default=True, help="Power meter: jtop, ina3221, rapl, nvml, none or auto."
)
@click.option("--timeout", type=float, default=5.0, show_default=True, help="Seconds a wait inside a pass may take.")
@click.option("--once", is_flag=True, help="End when the first terminal device is done.")
@json_option
def worker(
    address: str,
    port: int,
    interface: str | None,
    checkpoint: Path | None,
    device: str,
    meter: str,
    timeout: float,
    once: bool,
    as_json: bool,
) -> None:
    """Wait for a terminal device, which says what to run: on every board but the first.

    The control channel is not encrypted and asks for no password; use it in a network you trust.
    """
    from hw.device import choose_device
    from hw.link.interfaces import require_interface
    from hw.runtime.control import listen
    from hw.runtime.worker import Worker

    if interface is not None:
        require_interface(interface)
    with listen(address, port) as listening:
        serving = Worker(
            interface=interface,
            checkpoint=checkpoint,
            device=choose_device(device),
            meter=meter,
            timeout_s=timeout,
            say=say,
        )
        where = listening.getsockname()
        if as_json:
            print_line({"address": where[0], "port": where[1]})
        else:
            say(f"waiting for a terminal device at {where[0]}:{where[1]}; end with Ctrl-C")
        serving.serve(listening, once=once)
