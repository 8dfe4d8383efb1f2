"""From blocks to the energy of a record: what is unknown is never counted as nothing."""

from __future__ import annotations

import dataclasses

from hw.power.block import BlockEnergy, energy_record
from prism.record import Energy

TERMINAL = BlockEnergy("VDD_IN", 10, 4.0, energy_j=28.0, uncertainty_j=0.5, samples=40, counts=True)
PEER = dataclasses.replace(TERMINAL, energy_j=20.0)


def test_all_boards_by_pass() -> None:
    assert energy_record([TERMINAL, PEER]) == Energy((2.8, 2.0), "each board: VDD_IN")


def test_different_scopes_are_all_named() -> None:
    energy = energy_record([TERMINAL, dataclasses.replace(PEER, scope="RAPL")])
    assert energy is not None
    assert energy.scope == "each board: VDD_IN | RAPL"


def test_an_unmeasured_peer_leaves_the_terminal_device_alone() -> None:
    unknown = BlockEnergy("energy was not measured", 10, 4.0)
    short = dataclasses.replace(PEER, counts=False)
    for peer in (None, unknown, short):
        assert energy_record([TERMINAL, peer]) == Energy((2.8,), "terminal device alone: VDD_IN")


def test_without_the_terminal_devices_there_is_no_energy() -> None:
    assert energy_record([None, PEER]) is None
    assert energy_record([dataclasses.replace(TERMINAL, counts=False), PEER]) is None
    assert energy_record([]) is None


def test_provenance_holds_what_the_energy_is_worth() -> None:
    assert TERMINAL.describe() == {
        "energy_block_s": "4.000",
        "energy_passes": "10",
        "energy_samples": "40",
        "energy_sampling_cpu": "0.0000",
        "energy_uncertainty_j": "0.05",
    }
    assert BlockEnergy("none", 10, 4.0, note="energy was not measured").describe()["energy_note"]
