"""A model folder becomes a translator."""

from pathlib import Path
from typing import NamedTuple

from jax.typing import DTypeLike

from transformer import devices, folder, tokenizer, weights
from transformer.axes import Params
from transformer.errors import InputError
from transformer.folder import Description
from transformer.model import Transformer
from transformer.tokenizer import Tokenizers
from transformer.translator import Translator


def load(
    path: str | Path, *others: str | Path, precision: str = "auto", fast: bool = False
) -> Translator:
    """The translator in a model folder, or of several with the same tokenizers.

    Args:
        precision: "float32", "bfloat16", or what the device does best.
        fast: `fitting` of the `Translator`.

    Raises:
        InputError: if one is no model folder, or holds no intact weights yet, or if
            their tokenizers differ.
    """
    first, *more = (
        _load(Path(one), devices.dtype(precision)) for one in (path, *others)
    )
    for other, loaded in zip(others, more, strict=True):
        models = [[side.model for side in one.tokenizers] for one in (first, loaded)]
        if models[0] != models[1]:
            raise InputError(
                f"{other} and {path} have different tokenizers, and cannot translate "
                "together. Train them on the same data with the same settings of it."
            )
    described = first.description
    return Translator(
        first.model,
        first.params,
        first.tokenizers,
        described.config.data.max_length,
        targets=described.targets,
        others=[(one.model, one.params) for one in more],
        fitting=fast,
    )


class _Loaded(NamedTuple):
    """What a model folder holds."""

    description: Description
    tokenizers: Tokenizers
    model: Transformer
    params: Params


def _load(path: Path, dtype: DTypeLike) -> _Loaded:
    description = folder.describe(path)
    model = Transformer(description.model, dtype)
    params = weights.load(path, model)
    return _Loaded(description, tokenizer.load_both(path), model, params)
