"""`prism explore`: the explorer's page on this machine."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from prism.cli.output import json_option, print_line, say

if TYPE_CHECKING:
    from prism.profile import SystemProfile


@click.command(epilog="Examples: prism explore; prism explore --no-open --port 8765; prism explore --profile mine.json")
@click.option("--port", type=int, default=0, show_default=True, help="Port on 127.0.0.1; 0 for a free one.")
@click.option("--open/--no-open", "open_page", default=True, help="Whether to open the page in the browser.")
@click.option(
    "--profile", "names", multiple=True, help="Profile to begin with, shipped or a file; several are all on offer."
)
@json_option
def explore(port: int, open_page: bool, names: tuple[str, ...], as_json: bool) -> None:
    """Serve a page to turn the knobs on: where time goes, where splitting pays, latency against energy.

    It listens on 127.0.0.1 alone, works offline and keeps nothing: the state of the page is its address. Ctrl-C ends
    it. With --json the page's address is the one object on stdout, as soon as it is served.
    """
    import gc

    from sim.explorer.server import ExplorerServer

    # Schedules are kept as they are met, by the hundred thousand objects: to look through them all again and again for
    # cycles that they do not have would take longer than the answers.
    gc.set_threshold(200_000, 20, 20)
    try:
        with ExplorerServer(port, _profiles(names)) as server:
            if as_json:
                print_line({"url": server.url, "port": server.server_port})
            else:
                click.echo(f"Prism explorer: {server.url}")
            say("end with Ctrl-C")
            if open_page:
                _open(server.url)
            server.serve_forever()
    except KeyboardInterrupt:
        say("ended")


def _profiles(names: tuple[str, ...]) -> dict[str, SystemProfile]:
    """Those asked for, and after them those that are shipped, by name."""
    from prism.errors import InputError
    from prism.profile import DEFAULT_PROFILE, load_profile, shipped_profiles

    found: dict[str, SystemProfile] = {}
    for name in dict.fromkeys((*names, DEFAULT_PROFILE, *shipped_profiles())):
        profile = load_profile(name)
        if found.setdefault(profile.name, profile) != profile:
            raise InputError(f"{name}: there is another profile called {profile.name!r}; give it a name of its own")
    return found


def _open(url: str) -> None:
    """Open the page where there is a screen; a browser for terminals would take this one's."""
    import webbrowser

    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        say("no display here; open the address above, through `ssh -L` from another machine")
    elif not webbrowser.open(url):
        say("no browser could be started; open the address above")
