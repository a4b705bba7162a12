"""Decoding with CTranslate2: python ctranslate.py FOLDER [--compute int8].

Converted once into the folder, weights quantised where int8 is asked for. CTranslate2
also imports PyTorch and Transformers where it finds them, which it does not need here
and which takes longer than all else of its start: they are hidden from it.
"""

import sys
import tempfile
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import decoding
import numpy as np
from decoding import ALPHA, EPSILON, Ids, Network

sys.modules.update({"torch": None, "transformers": None})  # type: ignore[dict-item]

import ctranslate2  # noqa: E402
from ctranslate2.specs import TransformerSpec  # noqa: E402

ROWS = 32
"""Sentences that are translated together at most."""

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")


class Decoder:
    """Two translators: one with all cores for a batch, by default, and one with a core
    for each of several, which is faster where there are sentences enough."""

    def __init__(self, folder: Path, compute: str) -> None:
        model = str(_converted(folder, compute))
        self._cores = decoding.cores()
        self._make = partial(ctranslate2.Translator, model, compute_type=compute)

    @cached_property
    def _together(self) -> ctranslate2.Translator:
        return self._make(inter_threads=1, intra_threads=self._cores)

    @cached_property
    def _apart(self) -> ctranslate2.Translator:
        return self._make(inter_threads=self._cores, intra_threads=1)

    def search(self, sources: list[Ids], width: int, forced: int | None) -> list[Ids]:
        longest = forced or max(map(decoding.limit, sources))
        if len(sources) < ROWS:
            translator, size = self._together, ROWS
        else:
            translator = self._apart
            size = min(ROWS, -(-len(sources) // self._cores))
        found = translator.translate_batch(
            _written(sources),
            max_batch_size=size,
            beam_size=width,
            length_penalty=ALPHA,
            disable_unk=True,
            suppress_sequences=[["<pad>"], ["<s>"]],
            max_input_length=0,
            min_decoding_length=forced or 1,
            max_decoding_length=longest,
        )
        return [_ids(result.hypotheses[0]) for result in found]

    def score(self, sources: list[Ids], targets: list[Ids]) -> list[list[float]]:
        found = self._together.score_batch(
            _written(sources), _written(targets), max_input_length=0
        )
        return [result.log_probs for result in found]


def _written(sentences: list[Ids]) -> list[list[str]]:
    return [[_token(id) for id in ids] for ids in sentences]


def _token(id: int) -> str:
    return SPECIAL[id] if id < len(SPECIAL) else str(id)


def _ids(tokens: list[str]) -> Ids:
    return [int(token) for token in tokens]


def _converted(folder: Path, compute: str) -> Path:
    path = folder / f"ctranslate2-{compute}"
    if not path.exists():
        spec = specification(decoding.network(folder))
        spec.validate()
        spec.optimize(quantization=compute)
        with tempfile.TemporaryDirectory(dir=folder) as draft:
            spec.save(draft)
            Path(draft).rename(path)
            Path(draft).mkdir()  # for the context to remove
    return path


def specification(net: Network) -> Any:
    """The network in CTranslate2's terms."""
    cfg, weights = net
    spec: Any = TransformerSpec.from_config(
        (cfg["encoder_layers"], cfg["decoder_layers"]),
        cfg["num_heads"],
        pre_norm=cfg["norm"] == "pre",
    )
    spec.config.layer_norm_epsilon = EPSILON
    vocabulary = [_token(id) for id in range(cfg["vocab_size"])]
    spec.register_source_vocabulary(vocabulary)
    spec.register_target_vocabulary(vocabulary)
    table = weights["embedding/table"]
    spec.encoder.embeddings[0].weight = table
    spec.decoder.embeddings.weight = table
    spec.decoder.projection.weight = table
    for side, of in (("encoder", "source"), ("decoder", "target")):
        stack = getattr(spec, side)
        stack.position_encodings.encodings = weights[f"{of}_positions/table"]
        for number, layer in enumerate(stack.layer):
            _fill(layer, net, f"{side}_{number}")
        if cfg["norm"] == "pre":
            _norm(stack.layer_norm, net, f"{side}_norm")
    return spec


def _fill(layer: Any, net: Network, name: str) -> None:
    """One layer. Projections of the same states are one matrix, as they are there."""
    attention = layer.self_attention
    attention.linear[0].weight = _joined(
        net, name, "attention", "query", "key", "value"
    )
    attention.linear[1].weight = _joined(net, name, "attention", "output")
    _norm(attention.layer_norm, net, f"{name}/attention_norm")
    if hasattr(layer, "attention"):
        cross = layer.attention
        cross.linear[0].weight = _joined(net, name, "cross_attention", "query")
        cross.linear[1].weight = _joined(net, name, "cross_attention", "key", "value")
        cross.linear[2].weight = _joined(net, name, "cross_attention", "output")
        _norm(cross.layer_norm, net, f"{name}/cross_norm")
    _norm(layer.ffn.layer_norm, net, f"{name}/feed_forward_norm")
    for linear, part in (
        (layer.ffn.linear_0, "hidden"),
        (layer.ffn.linear_1, "output"),
    ):
        linear.weight = _joined(net, name, "feed_forward", part)
        linear.bias = net.weights[f"{name}/feed_forward/{part}/bias"]


def _joined(net: Network, layer: str, module: str, *parts: str) -> np.ndarray:
    matrices = [net.matrix(f"{layer}/{module}/{part}") for part in parts]
    return np.ascontiguousarray(np.concatenate(matrices))


def _norm(spec: Any, net: Network, name: str) -> None:
    spec.gamma = net.weights[f"{name}/scale"]
    spec.beta = net.weights[f"{name}/bias"]


if __name__ == "__main__":
    decoding.run(f"CTranslate2 {ctranslate2.__version__}", Decoder)
