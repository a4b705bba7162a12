"""Where a token stands: three ways to tell the model, all functions of given positions.

Positions are an argument, so packed, left-padded or continued sequences need no new
code. A scheme has two halves of which it uses one: `Sinusoidal` and `Learned` are
added to the embeddings; `rotate` turns queries and keys inside attention.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def _angles(positions: Int[Array, "B T"], dim: int) -> Float[Array, "B T half"]:
    """t / 10000^(2i / dim) for each position t and each pair of dimensions i."""
    rates = 10_000.0 ** (-jnp.arange(0, dim, 2) / dim)
    return jnp.einsum("BT,h->BTh", positions.astype(jnp.float32), rates)


def sinusoidal(positions: Int[Array, "B T"], dim: int) -> Float[Array, "B T D"]:
    """PE(t, 2i) = sin(t / 10000^(2i/D)) and PE(t, 2i+1) = cos(t / 10000^(2i/D)).

    "Attention Is All You Need", section 3.5. `dim` must be even.
    """
    angles = _angles(positions, dim)
    pairs = jnp.stack([jnp.sin(angles), jnp.cos(angles)], axis=-1)
    return pairs.reshape(*positions.shape, dim)  # interleaves sines and cosines


def rotate(
    x: Float[Array, "B T N H"], positions: Int[Array, "B T"]
) -> Float[Array, "B T N H"]:
    """Turns each pair (x₂ᵢ, x₂ᵢ₊₁) by the angle t / 10000^(2i/H).

    The product of two rotated vectors depends on their distance alone
    (Su et al. 2021, "RoFormer", equation 34).
    """
    angles = _angles(positions, x.shape[-1])[:, :, None]
    sin, cos = jnp.sin(angles).astype(x.dtype), jnp.cos(angles).astype(x.dtype)
    even, odd = x[..., 0::2], x[..., 1::2]
    pairs = jnp.stack([even * cos - odd * sin, even * sin + odd * cos], axis=-1)
    return pairs.reshape(x.shape)  # interleaves the pairs again


def unrotated(
    x: Float[Array, "B T N H"], positions: Int[Array, "B T"]
) -> Float[Array, "B T N H"]:
    """What attention does to queries and keys when positions are added instead."""
    del positions
    return x


class Sinusoidal(nn.Module):
    """Adds the sine and cosine encoding of the paper; any length, no parameters."""

    dim: int

    def __call__(
        self, x: Float[Array, "B T D"], positions: Int[Array, "B T"]
    ) -> Float[Array, "B T D"]:
        return x + sinusoidal(positions, self.dim).astype(x.dtype)


class Learned(nn.Module):
    """Adds one trained vector a position; from `max_length` on, the last one."""

    dim: int
    max_length: int

    @nn.compact
    def __call__(
        self, x: Float[Array, "B T D"], positions: Int[Array, "B T"]
    ) -> Float[Array, "B T D"]:
        scale = nn.initializers.normal(stddev=self.dim**-0.5)
        table = self.param("table", scale, (self.max_length, self.dim))
        return x + table.at[positions].get(mode="clip").astype(x.dtype)


class Unadded(nn.Module):
    """Adds nothing: rotary positions enter through attention."""

    def __call__(
        self, x: Float[Array, "B T D"], positions: Int[Array, "B T"]
    ) -> Float[Array, "B T D"]:
        del positions
        return x
