"""Network interfaces of this machine."""

from __future__ import annotations

import socket

from prism.errors import unknown


def require_interface(name: str) -> None:
    """Refuse the name of an interface that this machine does not have.

    Raises:
        InputError: there is none of that name.
    """
    known = [found for _, found in socket.if_nameindex()]
    if name not in known:
        raise unknown("network interface", name, known)
