"""Axis names used in signatures and einsums; others are local, and say so.

B  sentences in a batch        N  attention heads
T  target or query positions   H  width of one head
S  source or key positions     F  hidden width of the feed-forward layer
D  width of the model          V  vocabulary
K  hypotheses in a beam        A  batches accumulated into one update
"""

from typing import Any

Params = Any
"""A tree of arrays, as Linen makes it: nested dicts by module name."""
