"""Every setting, once: frozen dataclasses that validate themselves.

The scripts parse them from the command line, `experiments` names whole sets of them,
and a model folder keeps the one it was made with in `config.json`.
"""

from dataclasses import dataclass, field
from typing import Literal

from transformer import limits
from transformer.errors import InputError

SEEDS = 1 << 32
"""Above, JAX without 64-bit types would silently take the remainder."""

DROPOUTS = "dropout", "attention_dropout", "activation_dropout"
SAMPLING = {"bpe": ("subword_dropout", 0.1), "unigram": ("subword_alpha", 0.2)}
"""What makes several segmentations by each tokenizer, and a value to begin with."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Sizes and kinds of the Transformer; the defaults are the paper's base model."""

    vocab_size: int
    """Pieces of the (joint) vocabulary; the tokenizer is trained to at most as many."""
    source_vocab_size: int | None = None
    """Pieces of a vocabulary of its own for the source; None shares the target's."""
    dim: int = 512
    hidden_dim: int = 2048
    num_heads: int = 8
    encoder_layers: int = 6
    decoder_layers: int = 6
    distinct_layers: int | None = None
    """Of each side, with parameters of their own, which the others take in turn: 2 of 6
    make 1 2 1 2 1 2 (Takase & Kiyono 2021, "cycle"). None shares none."""
    dropout: float = 0.1
    attention_dropout: float = 0.0
    """Of the weights of attention."""
    activation_dropout: float = 0.0
    """Of the inner values of the feed-forward layers."""
    norm: Literal["pre", "post"] = "post"
    """Where layer normalisation stands; post is the paper's, pre trains more easily."""
    activation: Literal["relu", "gelu", "swiglu"] = "relu"
    positions: Literal["sinusoidal", "learned", "rotary"] = "sinusoidal"
    max_positions: int = 1024
    """Rows of the table of learned positions."""

    def __post_init__(self) -> None:
        limits.positive(self, "vocab_size", "dim", "hidden_dim", "num_heads")
        limits.positive(self, "encoder_layers", "decoder_layers", "max_positions")
        if self.source_vocab_size is not None:
            limits.positive(self, "source_vocab_size")
        if self.distinct_layers is not None:
            limits.positive(self, "distinct_layers")
        limits.share(self, *DROPOUTS)
        limits.choices(self)
        if self.dim % (2 * self.num_heads):
            raise InputError(
                f"model.dim={self.dim} must be a multiple of twice "
                f"model.num_heads={self.num_heads}, so that heads have an even width."
            )

    def owner(self, number: int) -> int:
        """The layer whose parameters a layer of the same side takes; both from 0."""
        distinct = self.distinct_layers
        return number if distinct is None else number % distinct


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where sentences come from and how they become batches.

    A corpus is a prefix (`train` means train.en and train.de for the languages en and
    de), one .tsv or .jsonl file, one elsewhere (https://…, hf:…, sacrebleu:…, mtdata:…,
    as in docs/corpora-by-name.md), or `phrasebook:train|valid|test`, the built-in one.
    Text files may end in .gz, .xz, .zst or .bz2. Behind it may stand a direction of its
    own, and a weight, and before it a tag: `bt=more:en-de@0.5`.
    """

    train: tuple[str, ...] = ("phrasebook:train",)
    valid: tuple[str, ...] = ("phrasebook:valid",)
    """Scored one by one; the mean of their scores counts."""
    test: tuple[str, ...] = ()
    """Scored once, at the end."""
    source: str = "en"
    """The language of every corpus that names no direction."""
    target: str = "hi"
    temperature: float = 1.0
    """Shares of the corpora go with their sizes to the power of one over this: 1 takes
    every pair equally often, 5 and more bring small corpora to the fore."""
    max_length: int = 128
    """Pairs with more tokens on a side, tags and the end included, are left out."""
    tokens: int | Literal["auto"] = 4096
    """Target positions of a batch, padding included; auto takes as many as fit."""
    accumulate: int = 1
    """Batches whose gradients make one update."""
    tokenizer: Literal["bpe", "unigram"] = "bpe"
    tokenizer_sentences: int = 1_000_000
    """Sentences sampled to train the tokenizer."""
    keep: tuple[str, ...] = ()
    """Rules of cleaning that shall drop nothing, only report: of empty, identical,
    ratio, encoding, script, overlap, duplicate."""
    drop: tuple[str, ...] = ()
    """Rules that else only report, and shall drop: of markup, numbers, similar."""
    subword_dropout: float = 0.0
    """The probability that a merge of BPE is left out, in training only."""
    subword_alpha: float | None = None
    """In training only, every way to write a word in unigram pieces has a chance, by
    its probability to the power of this; near 0 all the same. None: only the best."""
    segmentations: int = 1
    """Copies of the corpus that are stored, each in other pieces by one of these."""
    new_pieces: int = 0
    """Pieces to add to the tokenizer of --init-from, learnt from the corpora."""

    def __post_init__(self) -> None:
        limits.positive(self, "max_length", "accumulate", "tokenizer_sentences")
        limits.positive(self, "segmentations", "temperature")
        limits.choices(self)
        _check_sampling(self)
        if self.tokens != "auto":
            limits.positive(self, "tokens")
        if self.tokens != "auto" and self.tokens < self.max_length:
            raise InputError(
                f"data.tokens={self.tokens} cannot hold one sentence of "
                f"data.max_length={self.max_length}. Raise the one or lower the other."
            )
        limits.nonnegative(self, "new_pieces")
        for name in ("train", "valid"):
            if not getattr(self, name):
                raise InputError(f"data.{name} names no corpus; name one at least.")
        if self.source == self.target:
            raise InputError(
                f"data.source and data.target are both {self.source!r}; "
                "name two languages."
            )

    @property
    def budget(self) -> int:
        """`tokens`, once it is a number."""
        assert self.tokens != "auto", "found before training begins"
        return self.tokens

    @property
    def degree(self) -> float:
        """Of subword sampling, as `Tokenizer.sample` takes it; 0 is none."""
        return self.subword_alpha or self.subword_dropout


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Adam or Muon, decoupled weight decay, global-norm clipping, and a schedule."""

    peak: float
    """The highest learning rate, reached at the end of the warm-up."""
    warmup: int
    """Updates of linear rise."""
    schedule: Literal["inverse_sqrt", "cosine", "constant"] = "inverse_sqrt"
    """inverse_sqrt is the paper's; cosine falls to zero after `training.steps`."""
    kind: Literal["adam", "muon"] = "adam"
    """adam is the paper's; muon makes the updates of matrices orthogonal, which learns
    faster at first, and leaves tables, norms and biases to Adam."""
    b1: float = 0.9
    b2: float = 0.98
    eps: float = 1e-9
    weight_decay: float = 0.0
    """On kernels and tables, not on norms and biases; 0 is the paper's Adam."""
    moments: Literal["float32", "bfloat16"] = "float32"
    """Type of the first moment; Adam's second, whose root divides, is float32."""
    max_norm: float = 1.0
    """Gradients longer than this are shortened to it."""
    ema: float = 0.0
    """Evaluates and keeps a moving average of the parameters, e.g. with 0.999."""
    freeze: tuple[str, ...] = ()
    """Parameters that keep their values: patterns of how their paths begin, e.g.
    encoder or decoder_[01]/attention."""
    state: Literal["fresh", "inherited"] = "fresh"
    """inherited takes moments and the count of updates, and with it the learning rate,
    from the model of --init-from."""

    def __post_init__(self) -> None:
        limits.positive(self, "peak", "warmup", "eps", "max_norm")
        limits.share(self, "b1", "b2", "ema")
        limits.choices(self)
        limits.patterns(self, "freeze")
        if self.state == "inherited" and (self.freeze or self.schedule == "cosine"):
            raise InputError(
                "optimizer.state=inherited goes on with all parameters where another "
                "schedule stood: leave out optimizer.freeze, and take no cosine, which "
                "has come to its end."
            )
        limits.nonnegative(self, "weight_decay")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How long to train, and what to look at and keep on the way."""

    steps: int
    """Updates in all."""
    seed: int = 0
    label_smoothing: float = 0.1
    consistency: float = 0.0
    """R-Drop: batches are read twice, and this weighs how far the two are apart."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type of the products; auto is float32 on a CPU and bfloat16 elsewhere."""
    remat: Literal["none", "dots", "layers"] = "none"
    """What the backward pass computes again to save memory: nothing, all of a layer but
    its products with parameters, or all of it; each keeps less and takes longer."""
    log_every: int = 50
    eval_every: int = 1000
    """Updates between validations, each followed by a checkpoint."""
    eval_sentences: int = 500
    """Validation sentences translated for BLEU and chrF; the loss is of all."""
    average: int = 5
    """Checkpoints kept, and averaged when training ends."""
    metric: Literal["loss", "bleu", "chrf"] = "chrf"
    """Chooses the best checkpoint, and decides on early stopping."""
    patience: int | None = None
    """Validations without improvement before training stops; None never stops."""

    def __post_init__(self) -> None:
        limits.positive(
            self, "steps", "log_every", "eval_every", "eval_sentences", "average"
        )
        limits.share(self, "label_smoothing")
        limits.nonnegative(self, "consistency")
        limits.choices(self)
        if self.patience is not None:
            limits.positive(self, "patience")
        if not 0 <= self.seed < SEEDS:
            raise InputError(
                f"training.seed={self.seed} must be from 0 to {SEEDS - 1}."
            )


@dataclass(frozen=True, kw_only=True)
class Config:
    """One experiment."""

    model: ModelConfig
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig
    training: TrainingConfig

    def __post_init__(self) -> None:
        warmup, steps = self.optimizer.warmup, self.training.steps
        rates = [getattr(self.model, name) for name in DROPOUTS]
        if self.training.consistency and not any(rates):
            raise InputError(
                f"training.consistency={self.training.consistency} compares readings, "
                "and without dropout all are alike. Give model.dropout, e.g. 0.1."
            )
        # The other schedules are the same function of the step however many follow.
        if self.optimizer.schedule == "cosine" and warmup > steps:
            raise InputError(
                f"optimizer.warmup={warmup} is more than training.steps={steps}, so "
                "that the cosine schedule would never begin to fall. Lower the one or "
                "raise the other."
            )


def _check_sampling(cfg: DataConfig) -> None:
    """Raises `InputError` unless the settings of subword sampling go together."""
    limits.share(cfg, "subword_dropout")
    if cfg.subword_alpha is not None:
        limits.positive(cfg, "subword_alpha")
    name, usual = SAMPLING[cfg.tokenizer]
    for other, _ in SAMPLING.values():
        if other != name and getattr(cfg, other):
            raise InputError(
                f"{limits.flag(cfg, other)} does nothing to the pieces of "
                f"{limits.flag(cfg, 'tokenizer')}. Give data.{name} instead, e.g. "
                f"{usual}, or the other tokenizer."
            )
    if (cfg.segmentations > 1) != (cfg.degree > 0):
        raise InputError(
            f"{limits.flag(cfg, 'segmentations')} and {limits.flag(cfg, name)}: the "
            "second makes several segmentations, and without it they are all the same. "
            f"Give both, e.g. 16 and {usual}."
        )
