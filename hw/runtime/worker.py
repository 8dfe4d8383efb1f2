"""A worker: waits on the control channel, without a timeout, and does what the terminal device asks of it.

One terminal device at a time. When it goes, or anything fails inside a pass, the GLOO group is torn down and the
worker waits for the next one.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from timm.models.vision_transformer import VisionTransformer

from hw.conditions import machine, state
from hw.link.throttle import Throttle, make_throttle
from hw.power.choose import open_meter
from hw.power.sampler import Block, PowerSampler
from hw.runtime.control import Channel
from hw.runtime.errors import PeerLost
from hw.runtime.group import GlooGroup, Meeting
from hw.runtime.identity import versions, weights_digest
from hw.runtime.rank_pass import RankPass, sample_images
from hw.runtime.recorder import encode
from hw.runtime.replay import decode_seconds
from prism.errors import InputError
from prism.files import parse_json, to_json
from prism.nn.load import load_model
from prism.plan import Plan

Say = Callable[[str], None]


class Worker:
    """Serves one terminal device after another.

    Args:
        interface: network interface for GLOO; None leaves it to GLOO_SOCKET_IFNAME.
        checkpoint: weights on this board, in place of timm's own or random ones.
        device: where the model runs.
        meter: power meter by name, or ``auto``.
        timeout_s: how long a wait inside a pass may take.
        say: told what happens, one line each.
        clock: monotonic, in seconds.
    """

    def __init__(
        self,
        *,
        interface: str | None = None,
        checkpoint: Path | None = None,
        device: torch.device | None = None,
        meter: str = "auto",
        timeout_s: float = 5.0,
        say: Say = lambda _: None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.interface = interface
        self.checkpoint = checkpoint
        self.device = device or torch.device("cpu")
        self.meter = meter
        self.timeout_s = timeout_s
        self.say = say
        self.clock = clock
        self._models: dict[str, tuple[VisionTransformer, str]] = {}

    def serve(self, listening: socket.socket, *, once: bool = False) -> None:
        """Serve until interrupted, or one terminal device if `once`."""
        while True:
            connection, (address, _) = listening.accept()
            self.say(f"terminal device {address} has connected")
            channel = Channel(connection, f"terminal device ({address})")
            try:
                with open_meter(self.meter) as choice, PowerSampler(choice.meter) as sampler:
                    _Session(self, channel, sampler, choice.describe()).run()
                self.say(f"terminal device {address} is done")
            except PeerLost as error:
                self.say(str(error))
            finally:
                channel.close()
            if once:
                return

    def model(self, request: dict[str, Any]) -> tuple[VisionTransformer, str]:
        """The model asked for, and the fingerprint of its weights; loaded once."""
        key = repr(sorted(request.items()))
        if key not in self._models:
            self._models.clear()  # a board's memory holds one
            model = load_model(
                request["name"], pretrained=request["pretrained"], checkpoint=self.checkpoint, seed=request["seed"]
            )
            model.to(self.device)
            self._models[key] = model, weights_digest(model)
        return self._models[key]


class _Session:
    """What one terminal device asks for, from its greeting to its farewell."""

    def __init__(self, worker: Worker, channel: Channel, sampler: PowerSampler, meter: dict[str, str]) -> None:
        self._worker = worker
        self._channel = channel
        self._sampler = sampler
        self._meter = meter
        self._model: VisionTransformer | None = None
        self._group: GlooGroup | None = None
        self._throttle: Throttle | None = None
        self._pass: RankPass | None = None
        self._images: torch.Tensor | None = None
        self._block: Block | None = None

    def run(self) -> None:
        """Answer until the terminal device says goodbye.

        Raises:
            PeerLost: it went without, or another rank failed in a pass; the terminal device was told.
        """
        handlers = {
            "hello": self._hello,
            "ping": lambda _: {"clock_s": self._worker.clock()},
            "conditions": lambda _: {"facts": machine() | state() | self._meter},
            "model": self._load,
            "group": self._join,
            "throttle": self._set_throttle,
            "prepare": self._prepare,
            "start": self._start,
            "energy_begin": self._energy_begin,
            "energy_end": self._energy_end,
        }
        try:
            while (message := self._channel.receive(None))["kind"] != "bye":
                answer = handlers[message["kind"]](message)
                self._channel.send(f"{message['kind']}_done", **answer)
        except (InputError, PeerLost) as error:
            self._report(str(error))
            raise PeerLost(str(error)) from error
        finally:
            if self._throttle is not None:
                self._throttle.close()
            if self._group is not None:
                self._group.close()

    def _report(self, reason: str) -> None:
        try:
            self._channel.send("failed", reason=reason)
        except PeerLost:
            self._worker.say("the terminal device can no longer be told")

    def _hello(self, _message: dict[str, Any]) -> dict[str, Any]:
        return {"versions": versions()}

    def _load(self, message: dict[str, Any]) -> dict[str, Any]:
        self._model, digest = self._worker.model(message["request"])
        return {"digest": digest}

    def _join(self, message: dict[str, Any]) -> dict[str, Any]:
        torch.set_num_threads(message["threads"] or torch.get_num_threads())
        meeting = Meeting(message["address"], message["port"])
        self._group = GlooGroup(
            meeting, message["rank"], message["names"], self._worker.interface, self._worker.timeout_s
        )
        return {}

    def _set_throttle(self, message: dict[str, Any]) -> dict[str, Any]:
        if self._throttle is None:
            self._throttle = make_throttle(message["method"], self._worker.interface)
        self._throttle.set_bandwidth(message["bandwidth_mbps"])
        return {"provenance": self._throttle.provenance()}

    def _prepare(self, message: dict[str, Any]) -> dict[str, Any]:
        assert self._model is not None
        assert self._group is not None
        plan = parse_json(Plan, message["plan"], "plan from the terminal device")
        batch = message["batch"]
        self._pass = RankPass(
            self._model,
            plan,
            self._group.rank,
            batch,
            self._group,
            self._worker.clock,
            prefix=message["prefix"],
            carrier=message["carrier"],
            replay=decode_seconds(message["replay"]),
        )
        replicated = plan.input_distribution == "replicated"
        self._images = sample_images(self._model, batch, message["seed"]) if replicated else None
        return {"staging": self._pass.staging_label}

    def _start(self, _message: dict[str, Any]) -> dict[str, Any]:
        assert self._pass is not None
        self._pass.run(self._images)
        return {"steps": encode(self._pass.recorder.steps)}

    def _energy_begin(self, _message: dict[str, Any]) -> dict[str, Any]:
        self._block = self._sampler.begin()
        return {}

    def _energy_end(self, message: dict[str, Any]) -> dict[str, Any]:
        assert self._block is not None
        self._block.passes = message["passes"]
        return {"block": to_json(self._block.end())}
