"""The method on torch: Segment Means, scaling-aware attention, and timm's VisionTransformer split position-wise.

The only part of `prism` that needs torch and timm. Nothing is imported here, so that each module costs what it needs.
"""
