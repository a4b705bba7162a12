"""Decoding with Hugging Face's generate(): python hf.py FOLDER.

Post-norm networks are MarianMTModel, pre-norm ones M2M100ForConditionalGeneration,
which differs from it in just that and in the norms behind the last layers. Their
biases in attention, which the network has not, are zero. Positions and the epsilon of
the norms are not part of what Transformers saves: they are set after loading.
"""

from pathlib import Path
from typing import Any

import decoding
import torch
import transformers
from decoding import ALPHA, BOS, EOS, EPSILON, PAD, UNK, Ids, Network
from torch import Tensor, nn
from transformers import (
    GenerationConfig,
    M2M100Config,
    M2M100ForConditionalGeneration,
    MarianConfig,
    MarianMTModel,
)

ROWS = 32
"""Sentences that are translated together when a whole file is given."""

KINDS: dict[str, tuple[Any, Any]] = {
    "post": (MarianConfig, MarianMTModel),
    "pre": (M2M100Config, M2M100ForConditionalGeneration),
}


class Decoder:
    """Keys and values are cached; attention is scaled_dot_product_attention."""

    def __init__(self, folder: Path, compute: str) -> None:
        torch.set_num_threads(decoding.cores())
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = getattr(torch, compute)
        self._model = _loaded(folder).to(self._device, dtype).eval()

    @torch.inference_mode()
    def search(self, sources: list[Ids], width: int, forced: int | None) -> list[Ids]:
        beam = {"length_penalty": ALPHA, "early_stopping": True} if width > 1 else {}
        settings = GenerationConfig(
            **beam,
            num_beams=width,
            do_sample=False,
            min_new_tokens=forced,
            max_new_tokens=forced or max(map(decoding.limit, sources)),
            suppress_tokens=[PAD, BOS, UNK],
            pad_token_id=PAD,
            bos_token_id=BOS,
            eos_token_id=EOS,
            decoder_start_token_id=BOS,
        )

        def some(chunk: list[Ids]) -> list[Ids]:
            source, mask = self._padded(chunk)
            found = self._model.generate(
                source, attention_mask=mask, generation_config=settings
            )
            return [_words(row) for row in found[:, 1:].tolist()]

        return decoding.by_length(sources, ROWS, some)

    @torch.inference_mode()
    def score(self, sources: list[Ids], targets: list[Ids]) -> list[list[float]]:
        source, mask = self._padded(sources)
        labels, _ = self._padded([[*target, EOS] for target in targets])
        inputs = labels.roll(1, dims=1)
        inputs[:, 0] = BOS
        logits = self._model(
            input_ids=source, attention_mask=mask, decoder_input_ids=inputs
        ).logits
        found = logits.float().log_softmax(-1).gather(-1, labels[..., None])[..., 0]
        return [
            row[: len(target) + 1].tolist()
            for row, target in zip(found, targets, strict=True)
        ]

    def _padded(self, sentences: list[Ids]) -> tuple[Tensor, Tensor]:
        rows = [torch.tensor(ids) for ids in sentences]
        padded = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)
        return padded.to(self._device), (padded != PAD).long().to(self._device)


def _words(ids: Ids) -> Ids:
    return [id for id in ids if id not in (PAD, EOS)]


def _loaded(folder: Path) -> Any:
    """The model, converted the first time."""
    path = folder / "huggingface"
    net = decoding.network(folder)
    config_class, model_class = KINDS[net.cfg["norm"]]
    if not path.exists():
        model = model_class(_config(config_class, net))
        _fill(model, net)
        model.save_pretrained(path)
    model = model_class.from_pretrained(path, attn_implementation="sdpa")
    for side, of in (("encoder", "source"), ("decoder", "target")):
        positions = getattr(model.model, side).embed_positions
        _place(positions, torch.from_numpy(net.weights[f"{of}_positions/table"]))
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = EPSILON
    return model


def _config(config_class: Any, net: Network) -> Any:
    cfg = net.cfg
    return config_class(
        vocab_size=cfg["vocab_size"],
        d_model=cfg["dim"],
        encoder_layers=cfg["encoder_layers"],
        decoder_layers=cfg["decoder_layers"],
        encoder_attention_heads=cfg["num_heads"],
        decoder_attention_heads=cfg["num_heads"],
        encoder_ffn_dim=cfg["hidden_dim"],
        decoder_ffn_dim=cfg["hidden_dim"],
        activation_function="relu",
        max_position_embeddings=len(net.weights["source_positions/table"]),
        scale_embedding=True,
        tie_word_embeddings=True,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
        forced_eos_token_id=None,
        decoder_start_token_id=BOS,
    )


def _place(positions: Any, table: Tensor) -> None:
    """M2M100 counts positions from the one behind PAD, Marian from 0."""
    if isinstance(positions, nn.Embedding):
        positions.weight.data.copy_(table)
    else:
        positions.weights[PAD + 1 : PAD + 1 + len(table)] = table


@torch.no_grad()
def _fill(model: Any, net: Network) -> None:
    table = torch.from_numpy(net.weights["embedding/table"])
    for tied in (model.model.encoder.embed_tokens, model.model.decoder.embed_tokens):
        tied.weight.copy_(table)
    model.lm_head.weight.copy_(table)
    for side in ("encoder", "decoder"):
        stack = getattr(model.model, side)
        for number, layer in enumerate(stack.layers):
            _fill_layer(layer, net, f"{side}_{number}")
        if net.cfg["norm"] == "pre":
            _norm(stack.layer_norm, net, f"{side}_norm")


def _fill_layer(layer: Any, net: Network, name: str) -> None:
    _attention(layer.self_attn, net, f"{name}/attention")
    _norm(layer.self_attn_layer_norm, net, f"{name}/attention_norm")
    if hasattr(layer, "encoder_attn"):
        _attention(layer.encoder_attn, net, f"{name}/cross_attention")
        _norm(layer.encoder_attn_layer_norm, net, f"{name}/cross_norm")
    _norm(layer.final_layer_norm, net, f"{name}/feed_forward_norm")
    for linear, part in ((layer.fc1, "hidden"), (layer.fc2, "output")):
        _linear(linear, net, f"{name}/feed_forward/{part}")
        bias = net.weights[f"{name}/feed_forward/{part}/bias"]
        linear.bias.copy_(torch.from_numpy(bias))


def _attention(module: Any, net: Network, name: str) -> None:
    for linear, part in (
        (module.q_proj, "query"),
        (module.k_proj, "key"),
        (module.v_proj, "value"),
        (module.out_proj, "output"),
    ):
        _linear(linear, net, f"{name}/{part}")
        linear.bias.zero_()


def _linear(linear: nn.Linear, net: Network, name: str) -> None:
    linear.weight.copy_(torch.from_numpy(net.matrix(name).copy()))


def _norm(norm: nn.LayerNorm, net: Network, name: str) -> None:
    norm.weight.copy_(torch.from_numpy(net.weights[f"{name}/scale"]))
    norm.bias.copy_(torch.from_numpy(net.weights[f"{name}/bias"]))


if __name__ == "__main__":
    decoding.run(f"Hugging Face {transformers.__version__}", Decoder)
