"""What a killed owner and its killed guard left behind."""

from __future__ import annotations

from hw.testbed.names import leftover_prefixes
from hw.testbed.namespaces import destroy


def remove_leftovers() -> list[str]:
    """Remove the namespaces whose owner is dead, with what runs in them; returns their names.

    Raises:
        InputError: `ip` is not installed.
        ToolFailed: a namespace could not be removed, for instance for want of rights.
    """
    return [name for prefix in leftover_prefixes() for name in destroy(prefix)]
