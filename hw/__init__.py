"""The hardware backend: real processes that carry a schedule out over torch.distributed with GLOO."""
