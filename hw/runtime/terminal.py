"""The terminal device: takes a batch, has it carried out by the plan, holds the answer, and keeps the record.

Latency is what its user waits for: on its own monotonic clock, from the batch accepted to the answer held. Everything
else, such as collecting the workers' records and reading their clocks, happens between passes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from datetime import datetime, timezone
from types import TracebackType
from typing import TYPE_CHECKING

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from hw.conditions import machine, state
from hw.device import choose_device
from hw.link.throttle import NoThrottle, Throttle, make_throttle
from hw.power.block import energy_record
from hw.power.sampler import PowerSampler
from hw.runtime.clock import ClockAlignment, ClockReading
from hw.runtime.errors import PeerLost
from hw.runtime.group import GlooGroup, open_meeting
from hw.runtime.identity import versions, weights_digest
from hw.runtime.rank_pass import Carrier, RankPass, sample_images
from hw.runtime.recorder import TakenStep
from hw.runtime.replay import encode_seconds, replayed_seconds
from hw.runtime.settings import Settings
from hw.runtime.timeline import on_axis, runtime_s, spans_of, times_of
from hw.runtime.workers import RemoteWorker
from prism.errors import InputError
from prism.files import to_json
from prism.nn.load import load_model
from prism.nn.support import shape_of_model
from prism.plan import Plan
from prism.profile import SystemProfile
from prism.record import Energy, Measurement
from prism.schedule import TERMINAL, build_schedule

if TYPE_CHECKING:
    from typing_extensions import Self

#: What records keep of a worker.
_OF_A_WORKER = ("host", "machine", "power_mode", "power_meter")
#: After a failure, how long the other workers may take to say what they know of it.
LAST_WORDS_S = 0.5


@dataclass(frozen=True)
class Answer:
    """What a pass gives: logits of shape BO, its record, and the steps of every rank on the pass's axis."""

    logits: Tensor
    record: Measurement
    timelines: tuple[tuple[TakenStep, ...], ...]


class Terminal:
    """Rank 0 with its workers. A context manager: on entry boards are greeted, compared and put into one group.

    Args:
        settings: who takes part and how.
        model: the model, if it is there already; by default it is loaded by name.
        medium: what holds the link's rate where no board does, such as a testbed.
        clock: monotonic, in seconds.

    Raises:
        PeerLost: a worker cannot be reached or did not answer; raised on entry.
        PeerRefused: it has other versions or weights; raised on entry.
        InputError: a model that cannot be loaded or split, or a link that cannot be throttled; raised on entry.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        model: VisionTransformer | None = None,
        medium: Throttle | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.settings = settings
        self.model = model or load_model(settings.model, pretrained=settings.pretrained, seed=settings.seed)
        self.model.to(choose_device(settings.device))
        self.shape = shape_of_model(self.model)
        self.workers: list[RemoteWorker] = []
        self.bandwidth_mbps = 0.0
        self._clock = clock
        self._medium = medium
        self._throttle: Throttle = medium or NoThrottle()
        self._group: GlooGroup | None = None
        self._facts: dict[str, str] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            if self.settings.threads is not None:
                torch.set_num_threads(self.settings.threads)
            for rank, peer in enumerate(self.settings.peers, start=1):
                worker = RemoteWorker(rank, peer, self.settings.timeout_s)
                self._stack.callback(worker.dismiss)
                self.workers.append(worker)
            self._compare_weights()
            self._form_group()
            self._facts = self._describe()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Dismiss the workers and leave the group."""
        self._stack.close()

    @property
    def devices(self) -> int:
        """Boards that there are, the terminal device included."""
        return 1 + len(self.workers)

    def set_bandwidth(self, bandwidth_mbps: float) -> dict[str, str]:
        """Throttle the link, at both ends where no medium does it; returns how that was done.

        Raises:
            InputError: it cannot be throttled.
            PeerLost: a worker did not do its end.
        """
        if self._medium is None:
            for worker in self.workers:
                worker.throttle(self.settings.throttle, bandwidth_mbps)
        if self.workers:
            self._throttle.set_bandwidth(bandwidth_mbps)
        self.bandwidth_mbps = bandwidth_mbps
        return self._throttle.provenance()

    def prepare(
        self, plan: Plan, batch: int, *, carrier: Carrier = "prism", replay: SystemProfile | None = None
    ) -> Prepared:
        """Get ready for passes of `plan`: shares of the model, buffers and images on every rank.

        With `replay`, boards sleep what that profile says their compute takes (see `hw.runtime.replay`).

        Raises:
            InputError: a plan that the model is too short for, or of more boards than there are.
            PeerLost: a worker did not answer.
        """
        if plan.devices > self.devices:
            raise InputError(f"plan {plan.label} needs {plan.devices} boards and there are {self.devices}")
        schedule = build_schedule(self.shape, plan, batch)
        slept = [None if replay is None else replayed_seconds(schedule, rank, replay) for rank in range(plan.devices)]
        rank_pass = RankPass(
            self.model,
            plan,
            TERMINAL,
            batch,
            self._group,
            self._clock,
            prefix=self.settings.prefix,
            carrier=carrier,
            replay=slept[TERMINAL],
        )
        workers = self.workers[: plan.devices - 1]
        for worker in workers:
            worker.prepare(
                plan=to_json(plan),
                batch=batch,
                seed=self.settings.seed,
                prefix=self.settings.prefix,
                carrier=carrier,
                replay=encode_seconds(slept[worker.rank]),
            )
        return Prepared(self, rank_pass, workers, batch)

    def facts(self) -> dict[str, str]:
        """What to keep with a run: boards, versions, link, and clocks and temperatures as they are now."""
        return self._facts | state() | {f"link_{name}": value for name, value in self._throttle.provenance().items()}

    def blame(self, error: PeerLost, workers: Sequence[RemoteWorker]) -> PeerLost:
        """The failure told by those who know most of it: a worker that is gone, or what the others report."""
        deadline_s = time.monotonic() + (LAST_WORDS_S if len(workers) > 1 else 0.0)
        words = [said for worker in workers if (said := worker.last_words(deadline_s)) is not None]
        gone = [said for said in words if " reports: " not in said]
        return PeerLost((gone or words or [str(error)])[0])

    def deadline(self, after_s: float | None) -> AbstractContextManager[None]:
        """Let no wait for a message inside the block last beyond so many seconds from now; None: no such limit."""
        return nullcontext() if self._group is None else self._group.deadline(after_s)

    @property
    def clock(self) -> Callable[[], float]:
        """The terminal device's clock."""
        return self._clock

    def _compare_weights(self) -> None:
        settings = self.settings
        if self.workers:
            request = {"name": settings.model, "pretrained": settings.pretrained, "seed": settings.seed}
            digest = weights_digest(self.model)
            for worker in self.workers:
                worker.load(request, digest)

    def _form_group(self) -> None:
        if not self.workers:
            return
        settings = self.settings
        names = [f"terminal device ({settings.address})", *(worker.name for worker in self.workers)]
        meeting, store = open_meeting(settings.address, self.devices)
        for worker in self.workers:
            worker.invite(meeting, names, settings.threads)
        try:
            self._group = GlooGroup(meeting, TERMINAL, names, settings.interface, settings.timeout_s, store)
        except PeerLost as error:
            raise self.blame(error, self.workers) from error
        self._stack.callback(self._group.close)
        for worker in self.workers:
            worker.joined()
        if self._medium is None:
            self._throttle = make_throttle(settings.throttle, settings.interface)
            self._stack.callback(self._throttle.close)

    def _describe(self) -> dict[str, str]:
        facts = {**machine(), **versions(), "weights": weights_digest(self.model)[:8]}
        facts |= {"threads": str(torch.get_num_threads()), "prefix_tokens": self.settings.prefix}
        facts["device"] = str(next(self.model.parameters()).device)
        if self._group is not None:
            facts["gloo_event_loop"] = self._group.event_loop
        for worker in self.workers:
            theirs = worker.conditions()
            facts |= {f"rank{worker.rank}_{name}": theirs[name] for name in _OF_A_WORKER if name in theirs}
        return facts


class Prepared:
    """Passes of one plan and batch size, ready to be taken."""

    def __init__(self, terminal: Terminal, rank_pass: RankPass, workers: Sequence[RemoteWorker], batch: int) -> None:
        self._terminal = terminal
        self._pass = rank_pass
        self._workers = list(workers)
        self._batch = batch
        self._images = sample_images(terminal.model, batch, terminal.settings.seed)
        self._facts = terminal.facts() | {"staging": rank_pass.staging_label}
        self._readings = self._read_clocks()

    def run(
        self,
        images_BCYX: Tensor | None = None,
        *,
        energy: Energy | None = None,
        spans: bool = False,
        give_up_s: float | None = None,
    ) -> Answer:
        """Take a pass and keep its record.

        Args:
            images_BCYX: the batch; by default the one made from the seed, which is what workers have whose plan
                replicates the input.
            energy: what to put into the record.
            spans: whether the record keeps every step.
            give_up_s: how long the pass may wait for messages in all; by default each wait has the settings' timeout.

        Raises:
            PeerLost: a worker did not do its part within the timeout. The group is unusable afterwards.
        """
        try:
            with self._terminal.deadline(give_up_s):
                logits_BO = self._pass.run(
                    self._images if images_BCYX is None else images_BCYX, lambda rank: self._workers[rank - 1].start()
                )
            steps = [self._pass.recorder.steps, *(worker.finished() for worker in self._workers)]
            before, self._readings = self._readings, self._read_clocks()
        except PeerLost as error:
            raise self._terminal.blame(error, self._workers) from error
        assert logits_BO is not None
        accepted_s = steps[TERMINAL][0].begin_s
        alignments = [ClockAlignment(*pair) for pair in zip(before, self._readings, strict=True)]
        timelines = [
            on_axis(steps[TERMINAL], lambda time_s: time_s, accepted_s),
            *(on_axis(taken, aligned.ours, accepted_s) for taken, aligned in zip(steps[1:], alignments, strict=True)),
        ]
        record = self._record(timelines, alignments, energy, spans)
        return Answer(logits_BO, record, tuple(map(tuple, timelines)))

    def warm_up(self, passes: int, sampler: PowerSampler) -> Energy | None:
        """Take at least so many passes, and where there is a meter as many as an energy needs.

        Returns:
            Joules a pass of every board, boards that take no part last, the pauses between passes included; None where
            the terminal device's are not known.

        Raises:
            PeerLost: as `run`.
        """
        everyone = self._terminal.workers if sampler.meter.measures else []
        for worker in everyone:
            worker.energy_begin()
        block = sampler.run_block(self.run, passes)
        return energy_record([block, *(worker.energy_end(block.passes) for worker in everyone)])

    def _read_clocks(self) -> list[ClockReading]:
        return [worker.read_clock(self._terminal.clock) for worker in self._workers]

    def _record(
        self,
        timelines: Sequence[Sequence[TakenStep]],
        alignments: Sequence[ClockAlignment],
        energy: Energy | None,
        keep_spans: bool,
    ) -> Measurement:
        spans = spans_of(timelines)
        return Measurement(
            source="measured",
            model=self._terminal.shape.name,
            batch=self._batch,
            bandwidth_mbps=self._terminal.bandwidth_mbps,
            plan=self._pass.rank_model.plan,
            total_s=timelines[TERMINAL][-1].end_s,
            ranks=tuple(map(times_of, spans)),
            energy=energy,
            spans=tuple(span for rank in spans for span in rank) if keep_spans else (),
            runtime_s=runtime_s(timelines[TERMINAL]),
            clock_uncertainty_s=max((aligned.uncertainty_s for aligned in alignments), default=None),
            provenance=self._facts | {"date": datetime.now(timezone.utc).isoformat(timespec="milliseconds")},
        )
