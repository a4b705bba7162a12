"""Explanations made up of random numbers, of any size and any words."""

import math

import numpy as np

from transformer import heads
from transformer.comparisons import Comparison, Order, Shared
from transformer.explanations import Choice, Explanation, Part, Tokens, Vectors
from transformer.neighbours import Neighbour, Place
from transformer.symbols import EOS
from transformer.trees import Node, Tree

HOSTILE = (
    "</script><script>document.title='run'</script>"
    "<img src=x onerror='document.title=1'>\"&\u202e"
)
"""What runs where a page takes text for markup."""


def explanation(text, translation, *, layers=2, num_heads=2, dim=16):
    """Of a text in one part, each word a token, or in none if it is blank."""
    parts = (part(text, translation, layers, num_heads, dim),) if text.split() else ()
    return Explanation(text, translation, translation, (), parts)


def part(text, translation, layers, num_heads, dim):
    rng = np.random.default_rng(0)
    source, target = tokens(text), tokens(translation)
    sizes = len(source.ids), len(target.ids)
    steps = [
        tuple(Choice(n, word, 0.5 / n) for n, word in enumerate((piece, "▁other"), 1))
        for piece in target.pieces
    ]
    found = tree(len(steps))
    return Part(
        source=source,
        target=target,
        encoder=vectors(rng, (layers, num_heads, dim), sizes[0], None),
        decoder=vectors(rng, (layers, num_heads, dim), sizes[1], sizes[0]),
        positions=rng.normal(size=(sizes[0], dim)),
        steps=tuple(steps),
        chosen=(0.5,) * len(steps),
        tree=found,
        branches=tuple(target.pieces[node.step] for node in found.nodes),
        alignment=[(n, n) for n in range(min(sizes) - 1)],
        words=places(text.split()),
    )


def tokens(text):
    words = text.split()
    ends = np.cumsum([len(word.encode()) + 1 for word in words]).tolist()
    starts = [0, *ends]
    return Tokens(
        text=" ".join(words),
        pieces=(*(f"▁{word}" for word in words), "</s>"),
        ids=(*range(100, 100 + len(words)), EOS),
        spans=(*((a, b - 1) for a, b in zip(starts, ends, strict=False)), (0, 0)),
        words=tuple(range(len(words) + 1)),
    )


def vectors(rng, sizes, length, source):
    layers, num_heads, dim = sizes

    def looks(columns):
        raw = rng.random((layers, num_heads, length, columns)) ** 8
        return raw / raw.sum(axis=-1, keepdims=True)

    return Vectors(
        embeddings=rng.normal(size=(length, dim)),
        inputs=rng.normal(size=(length, dim)),
        layers=rng.normal(size=(layers, length, dim)),
        output=rng.normal(size=(length, dim)),
        attention=looks(length),
        cross=None if source is None else looks(source),
        roles=((heads.SAME, *(heads.CONTENT,) * (num_heads - 1)),) * layers,
    )


def tree(steps):
    """Two hypotheses a step; the second is given up, or complete at the end."""
    nodes = []
    for step in range(steps):
        parent, total = 2 * (step - 1) if step else -1, -0.5 * (step + 1)
        last = step == steps - 1
        better, worse = ("ended", "ended") if last else ("kept", "pruned")
        nodes.append(
            Node(parent, step, 7, -0.5, total, total if last else None, better)
        )
        nodes.append(Node(parent, step, 8, -2.0, total - 1.5, None, worse))
    return Tree(tuple(nodes), tuple(range(0, 2 * steps, 2)))


def places(words):
    own = [
        Place(word, math.cos(n), math.sin(n), (Neighbour(f"near{n}", n, 0.5),))
        for n, word in enumerate(words)
    ]
    others = [Place(f"near{n}", n / 9, n / 7, None) for n in range(len(words))]
    return (*own, *others)


def comparison(one, other, word):
    shared = Shared(word, (1, 2), (1.0, 0.9, 0.7, -0.2), (1.0, 0.9, 0.8, 0.7))
    stages = "embedding", "with position", "layer 1", "output"
    return Comparison((one, other), stages, (shared,), Order(2.5, 1e-6))
