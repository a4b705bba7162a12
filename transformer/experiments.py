"""Named settings, each with its cost and its score: the first argument of train.py."""

from transformer.config import (
    Config,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    TrainingConfig,
)


def quickstart() -> Config:
    """English to Hindi on the built-in phrasebook: minutes on a laptop CPU.

    1.2 M parameters. 2:06 minutes on two cores, compilation and scoring included.
    Held-out sentences: sacreBLEU 95.84, chrF 97.51, beam 4. One seed.
    """
    return Config(
        model=ModelConfig(
            vocab_size=2000,
            dim=128,
            hidden_dim=512,
            num_heads=4,
            encoder_layers=2,
            decoder_layers=2,
            norm="pre",
        ),
        data=DataConfig(test="phrasebook:test", max_length=64, tokens=2048),
        optimizer=OptimizerConfig(peak=4e-3, warmup=200, schedule="cosine"),
        training=TrainingConfig(
            steps=600, eval_every=100, eval_sentences=200, average=2
        ),
    )


def multi30k() -> Config:
    """English to German image captions, with the small network of Wu et al. 2021.

    1.8 M parameters. 65 minutes of CPU time in all, about 4,300 tokens/s on two quiet
    cores. test2016: sacreBLEU 37.8 (cased, 13a), chrF 62.0, beam 4. One seed.
    """
    return Config(
        model=ModelConfig(
            vocab_size=4000,
            dim=128,
            hidden_dim=256,
            num_heads=4,
            encoder_layers=4,
            decoder_layers=4,
            dropout=0.2,
            norm="pre",
        ),
        data=DataConfig(target="de", tokens=2048),
        optimizer=OptimizerConfig(peak=4e-3, warmup=500, schedule="cosine"),
        training=TrainingConfig(steps=5000, eval_every=500, average=4, log_every=100),
    )


def base() -> Config:
    """The base model of the paper, table 3. Cost and score: not measured."""
    return Config(
        model=ModelConfig(vocab_size=37_000),
        data=DataConfig(target="de", tokens=25_000, max_length=256),
        optimizer=OptimizerConfig(peak=7e-4, warmup=4000),
        training=TrainingConfig(steps=100_000),
    )


def big() -> Config:
    """The big model of the paper, table 3. Cost and score: not measured."""
    return Config(
        model=ModelConfig(
            vocab_size=37_000, dim=1024, hidden_dim=4096, num_heads=16, dropout=0.3
        ),
        data=DataConfig(target="de", tokens=25_000, max_length=256),
        optimizer=OptimizerConfig(peak=5e-4, warmup=4000),
        training=TrainingConfig(steps=300_000),
    )


ALL = {make.__name__: make for make in (quickstart, multi30k, base, big)}
