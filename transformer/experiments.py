"""Named settings, each with its cost and its score: the first argument of train.py."""

from dataclasses import replace

from transformer.config import (
    Config,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    TrainingConfig,
)


def quickstart() -> Config:
    """English to Hindi on the built-in phrasebook: minutes on a laptop CPU.

    1.2 M parameters. 2:05 minutes on two cores, compilation and scoring included.
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
        data=DataConfig(test=("phrasebook:test",), max_length=64, tokens=2048),
        optimizer=OptimizerConfig(peak=4e-3, warmup=200, schedule="cosine"),
        training=TrainingConfig(
            steps=600, eval_every=100, eval_sentences=200, average=2
        ),
    )


def multi30k() -> Config:
    """English to German image captions, with the small network of Wu et al. 2021.

    2.6 M parameters. 20 minutes on one core of an Intel Xeon with AMX in bfloat16, at
    8,800 tokens/s. test2016: sacreBLEU 39.1 (cased, 13a), chrF 63.4, beam 4. One seed.
    """
    return Config(
        model=ModelConfig(
            vocab_size=10_000,
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


def wmt14_en_de() -> Config:
    """English to German news: the base model of the paper on its corpus, from the Hub.

    4.5 million pairs; newstest2013 validates and all of newstest2014 tests. Cost and
    score: not measured; the paper reports a tokenised BLEU of 27.3.
    """
    return replace(
        base(),
        data=DataConfig(
            train=("hf:wmt/wmt14/de-en",),
            valid=("hf:wmt/wmt14/de-en#validation",),
            test=("sacrebleu:wmt14/full",),
            target="de",
            tokens=25_000,
            max_length=256,
        ),
    )


def wmt14_en_fr() -> Config:
    """English to French news: the big model of the paper, whose dropout is 0.1 here.

    41 million pairs of the Hub, a joint vocabulary of 32,000. Cost and score: not
    measured; the paper reports a tokenised BLEU of 41.8, of an average of 20
    checkpoints where these are 5.
    """
    return replace(
        big(),
        model=replace(big().model, vocab_size=32_000, dropout=0.1),
        data=DataConfig(
            train=("hf:wmt/wmt14/fr-en",),
            valid=("hf:wmt/wmt14/fr-en#validation",),
            test=("sacrebleu:wmt14/full",),
            target="fr",
            tokens=25_000,
            max_length=256,
        ),
    )


def iwslt14_de_en() -> Config:
    """German to English talks, with the settings of fairseq for them.

    No library has this corpus by name: it is to be at iwslt14/train.de, train.en,
    valid.de and so on. Unlike fairseq's, the vocabulary is one for both languages,
    gradients are clipped, and training ends after 50,000 updates. Cost and score: not
    measured.
    """
    return Config(
        model=ModelConfig(vocab_size=10_000, hidden_dim=1024, num_heads=4, dropout=0.3),
        data=DataConfig(
            train=("iwslt14/train",),
            valid=("iwslt14/valid",),
            test=("iwslt14/test",),
            source="de",
            target="en",
            tokens=4096,
            max_length=175,
        ),
        optimizer=OptimizerConfig(peak=5e-4, warmup=4000, eps=1e-8, weight_decay=1e-4),
        training=TrainingConfig(steps=50_000, metric="bleu"),
    )


ALL = {
    make.__name__.replace("_", "-"): make
    for make in (
        quickstart,
        multi30k,
        base,
        big,
        wmt14_en_de,
        wmt14_en_fr,
        iwslt14_de_en,
    )
}
"""Each by its name on the command line."""
