"""Options that commands share to ask what if: another length, radio, staging or power mode."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from prism.profile import SystemProfile
    from prism.shape import TransformerShape
    from prism.wifi import Wifi

DEFAULT_BANDWIDTH = "400"

_OPTIONS = (
    click.option("--tokens", type=int, help="Sequence length, up to 4096 and a class token.  [default: the model's]"),
    click.option(
        "--wifi",
        "wifi_text",
        help="The air of an 802.11ax link instead of --bandwidth, such as width=80,mcs=9,streams=2,gi=0.8,frames=64; "
        "add relay for an access point.",
    ),
    click.option("--zero-copy", is_flag=True, help="What if staging cost nothing."),
    click.option(
        "--power-mode", help="What if Orin Nano boards ran at 15W, 25W or MAXN_SUPER.  [measured: 15W, assumed]"
    ),
)


@dataclass(frozen=True)
class WhatIf:
    """What was asked, as it was written."""

    tokens: int | None
    wifi_text: str | None
    zero_copy: bool
    power_mode: str | None

    def shape(self, model: str) -> TransformerShape:
        """The model, on the length that was asked for."""
        from prism.catalogue import shape_of

        shape = shape_of(model)
        return shape if self.tokens is None else shape.with_tokens(self.tokens)

    @property
    def wifi(self) -> Wifi | None:
        """The radio, where one was given."""
        from prism.wifi import parse_wifi

        return None if self.wifi_text is None else parse_wifi(self.wifi_text)

    def bandwidth_mbps(self, given: str | None) -> float:
        """The rate of the link: what was given, or what the radio carries.

        Raises:
            InputError: both were given.
        """
        from prism.errors import InputError
        from prism.units import parse_bandwidth_mbps

        wifi = self.wifi
        if wifi is None:
            return parse_bandwidth_mbps(DEFAULT_BANDWIDTH if given is None else given)
        if given is not None:
            raise InputError("--wifi says what the link carries; leave --bandwidth out")
        return wifi.goodput_mbps

    def profile(self, name: str, *, relay: bool = False) -> SystemProfile:
        """The profile, changed as asked."""
        from prism.profile import load_profile
        from prism.what_if import in_power_mode, zero_copy

        profile = load_profile(name)
        if self.zero_copy:
            profile = zero_copy(profile)
        if self.power_mode is not None:
            profile = in_power_mode(profile, self.power_mode)
        wifi = self.wifi
        if wifi is not None:
            profile = replace(profile, link=wifi.link(profile.link))
        return replace(profile, link=replace(profile.link, relay=True)) if relay else profile

    def notes(self) -> list[str]:
        """One line for each thing that was changed."""
        notes = []
        wifi = self.wifi
        if wifi is not None:
            notes.append(
                f"802.11ax {wifi.label}: radio {wifi.phy_rate_mbps:.1f} Mbps, {wifi.goodput_mbps:.0f} Mbps of TCP "
                "payload a hop on a clean channel (modelled)"
            )
        if self.zero_copy:
            notes.append("staging costs nothing (what if; not measured)")
        if self.power_mode is not None:
            notes.append(f"power mode {self.power_mode}: published ratios to 15 W, which the profile is assumed to be")
        return notes


def what_if_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which takes them together as `what_if`."""

    @wraps(function)
    def gathered(
        *, tokens: int | None, wifi_text: str | None, zero_copy: bool, power_mode: str | None, **rest: Any
    ) -> Any:
        return function(what_if=WhatIf(tokens, wifi_text, zero_copy, power_mode), **rest)

    command: Callable[..., Any] = gathered
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
