"""A translator of random weights, large enough for translations that differ."""

from functools import partial

import jax
import jax.numpy as jnp

from transformer import tokenizer
from transformer.config import ModelConfig
from transformer.model import Transformer
from transformer.tokenizer import Tokenizers
from transformer.translator import Translator

LONGEST = 24

SENTENCES = [
    "a dog runs",
    "the cat sees a bird",
    "the dog and the bird see it",
    "कुत्ता बिल्ली देखता है",
]


def tokenizers():
    joint = tokenizer.train(SENTENCES * 5, vocab_size=330, kind="bpe")
    return Tokenizers(joint, joint)


def translator(**sizes):
    """Of two layers a side and two heads, unless `sizes` say otherwise."""
    both = tokenizers()
    cfg = ModelConfig(
        **{
            "vocab_size": both.target.size,
            "dim": 8,
            "hidden_dim": 8,
            "num_heads": 2,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "norm": "pre",
            **sizes,
        }
    )
    model = Transformer(cfg)
    tokens = jnp.ones((1, 1), jnp.int32)
    init = jax.jit(partial(model.init, train=False))
    params = jax.tree.map(
        lambda leaf: 3 * leaf, init(jax.random.key(0), tokens, tokens)
    )
    return Translator(model, params, both, LONGEST)
