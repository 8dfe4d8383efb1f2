"""One rank's share of a timm VisionTransformer, split position-wise.

A Transformer works on each token by itself except in attention. So a rank runs the model's own submodules on its own
tokens, and only attention's keys and values come from what the other ranks sent (Hu and Li, ICDCS 2024; Segment Means:
arXiv 2605.25682). The model is read, never changed: weights, timm's loading and its unsplit forward stay as they are.

Shape suffixes: B samples, C channels, Y X pixels, N own tokens, L vectors sent, S keys, H heads, K width of a head,
D embedding width, O classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from timm.layers.attention import Attention
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn import functional

from prism.errors import InputError
from prism.nn.attention import attention_bias, scaling_aware_attention
from prism.nn.embed import embed_tokens
from prism.nn.layout import layout_of
from prism.nn.segment_means import PrefixTokens, segment_means
from prism.nn.support import require_supported, shape_of_model
from prism.plan import Plan
from prism.schedule import TERMINAL


class RankModel:
    """The steps of one rank's pass; `prism.nn.run` puts them in the schedule's order.

    Args:
        model: a timm VisionTransformer in eval mode, already on its device and in its type.
        plan: how the pass is carried out.
        rank: which share; 0 is the terminal device.
        prefix: whether class and register tokens are averaged with the patches next to them or sent as they are.
        causal: whether a token sees only tokens before it, as timm's `is_causal` does. The schedule's FLOPs count the
            keys that are masked.

    Attributes:
        shape: shape of the model.
        plan: as given.
        rank: as given.
        layout: tokens and vectors of every rank.
        dtype: of the model's weights.
        device: where the weights are.

    Raises:
        InputError: a model that cannot be split, a rank that the plan does not have, a plan the model is too short for.
    """

    def __init__(
        self, model: nn.Module, plan: Plan, rank: int, *, prefix: PrefixTokens = "averaged", causal: bool = False
    ) -> None:
        if not 0 <= rank < plan.devices:
            raise InputError(f"rank {rank} does not exist in a plan of {plan.devices} devices")
        self._model = require_supported(model)
        self.shape = shape_of_model(model)
        self.plan = plan
        self.rank = rank
        self.layout = layout_of(self.shape, plan, prefix)
        self._own = self.layout.span(rank)
        weight = self._model.patch_embed.proj.weight
        self.dtype: torch.dtype = weight.dtype
        self.device: torch.device = weight.device
        self._bias = attention_bias(
            self.layout.context_counts(rank), rank, causal=causal, dtype=self.dtype, device=self.device
        )

    @property
    def embeds_all(self) -> bool:
        """Whether this rank embeds the whole sequence and not only its own tokens."""
        if self.plan.mode == "local":
            return True
        if self.plan.input_distribution == "tokens":
            return self.rank == TERMINAL
        return not self.plan.first_exchange

    def input_shape(self, batch: int, rank: int) -> tuple[int, ...]:
        """Shape of the input that worker `rank` gets from the terminal device: images_BCYX or tokens_BVD."""
        if self.plan.input_distribution == "image":
            return (batch, self.shape.channels, self.shape.image_size, self.shape.image_size)
        held = self.layout.partition[rank]
        if not self.plan.first_exchange:
            held = sum(len(keys) for keys in self.layout.context_counts(rank))
        return (batch, held, self.shape.dim)

    def exchange_shape(self, batch: int, rank: int) -> tuple[int, int, int]:
        """Shape sent_BLD of what `rank` sends to each other rank before a block."""
        return (batch, len(self.layout.counts[rank]), self.shape.dim)

    def embed(self, images_BCYX: Tensor) -> Tensor:
        """Embedded tokens x_BND on the model's device: the rank's own, or the whole sequence if `embeds_all`.

        Images that lie elsewhere are copied first: fetching its own batch is part of a board's embedding.

        Raises:
            InputError: images of another size.
        """
        tokens = slice(0, self.shape.tokens) if self.embeds_all else self._own
        return embed_tokens(self._model, images_BCYX.to(self.device), tokens)

    def compress(self, x_BND: Tensor, rank: int | None = None) -> Tensor:
        """Segment means sent_BLD of the input of a block, which is not normalised yet.

        Args:
            x_BND: tokens of a partition.
            rank: whose partition; this rank's own if None.
        """
        return segment_means(x_BND, self.layout.counts[self.rank if rank is None else rank])

    def block(self, index: int, x_BND: Tensor, received: Sequence[Tensor]) -> Tensor:
        """Block `index` on the rank's own tokens.

        Args:
            index: which block, from 0.
            x_BND: own tokens.
            received: sent_BLD of every rank, in rank order. What lies in this rank's place is not looked at.

        Returns:
            x_BND for the next block.
        """
        block = self._model.blocks[index]
        assert isinstance(block, Block)
        assert isinstance(block.attn, Attention)
        context = [x_BND if rank == self.rank else sent_BLD for rank, sent_BLD in enumerate(received)]
        # In rank order, so that full_tensor lays the keys out as the unsplit model does.
        context_BSD = context[0] if len(context) == 1 else torch.cat(context, dim=1)
        first = sum(sent_BLD.shape[1] for sent_BLD in context[: self.rank])
        own = slice(first, first + x_BND.shape[1])
        attended_BND = self._attend(block.attn, block.norm1(context_BSD), own)
        x_BND = x_BND + block.drop_path1(block.ls1(attended_BND))
        out_BND: Tensor = x_BND + block.drop_path2(block.ls2(block.mlp(block.norm2(x_BND))))
        return out_BND

    def pool(self, x_BND: Tensor) -> Tensor:
        """What the head reads, as far as this rank has it: pooled_BD.

        For average pooling it is the sum over the rank's own patches divided by the patches of all ranks, so that it
        lies in the range of the tokens and survives a float16 wire. For token pooling it is the class token, which
        only the terminal device has.
        """
        if self.shape.pool == "token":
            class_BD: Tensor = self._model.norm(x_BND[:, 0])
            return class_BD
        first = self.shape.prefix_tokens if self.rank == TERMINAL else 0
        normed_BND: Tensor = self._model.norm(x_BND[:, first:])
        return normed_BND.sum(dim=1) / self.shape.patches

    def head(self, pooled: Sequence[Tensor]) -> Tensor:
        """Logits_BO from the pooled_BD of every rank that has one, in rank order. Only on the terminal device."""
        features_BD = pooled[0]
        for pooled_BD in pooled[1:]:
            features_BD = features_BD + pooled_BD
        logits_BO: Tensor = self._model.head(self._model.head_drop(self._model.fc_norm(features_BD)))
        return logits_BO

    def _attend(self, attention: Attention, context_BSD: Tensor, own: slice) -> Tensor:
        """Attention as timm computes it, with queries from own tokens only, keys and values from the whole context."""
        dim = attention.num_heads * attention.head_dim
        weight, bias = attention.qkv.weight, attention.qkv.bias
        bias_q, bias_kv = (None, None) if bias is None else (bias[:dim], bias[dim:])
        batch, keys = context_BSD.shape[:2]
        q_BND = functional.linear(context_BSD[:, own], weight[:dim], bias_q)
        kv_BSD = functional.linear(context_BSD, weight[dim:], bias_kv)
        k_BSHK, v_BSHK = kv_BSD.view(batch, keys, 2, attention.num_heads, attention.head_dim).unbind(2)
        q_BNHK = q_BND.view(batch, -1, attention.num_heads, attention.head_dim)
        q_BHNK = attention.q_norm(q_BNHK.transpose(1, 2))
        k_BHSK = attention.k_norm(k_BSHK.transpose(1, 2))
        v_BHSK = v_BSHK.transpose(1, 2)
        attended_BHNK = scaling_aware_attention(q_BHNK, k_BHSK, v_BHSK, self._bias, attention.scale)
        out_BND: Tensor = attention.proj(attention.norm(attended_BHNK.transpose(1, 2).flatten(2)))
        return out_BND
