"""The benchmark of decoding gives everyone the same network and the same work."""

import importlib.util
import sys
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from flax import linen as nn
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import decode, exchange, latency, ours, sentences, servers
from benchmarks.exchange import Network
from benchmarks.rivals import decoding
from benchmarks.rivals.decoding import EOS, Ids
from transformer.config import ModelConfig
from transformer.errors import InputError

FORCED = 6
SOURCES = [[5, 9, 7, EOS], [6, EOS], [11, 8, 10, 4, 12, EOS]]

ANSWERS = """
import json, sys
print(json.dumps({"name": "fake"}), flush=True)
for seconds in SECONDS:
    sources = json.loads(input())["sources"]
    targets = [[7] * 6 for _ in sources]
    print(json.dumps({"seconds": seconds, "targets": targets}), flush=True)
sys.exit("tired")
"""


def small(**changes: Any) -> ModelConfig:
    sizes: Any = {
        "vocab_size": 40,
        "dim": 16,
        "hidden_dim": 24,
        "num_heads": 2,
        "encoder_layers": 1,
        "decoder_layers": 1,
    }
    return ModelConfig(**(sizes | changes))


@pytest.fixture(scope="module")
def network():
    return exchange.random(small())


@partial(jax.jit, static_argnums=0)
def _log_probs(model: Any, params: Any, source: Any, prefix: Any) -> Any:
    return jax.nn.log_softmax(model.apply(params, source, prefix, train=False))


def log_probs(network: Network, source: Ids, words: Ids) -> np.ndarray:
    """Of every token after each prefix of `words`."""
    padded = [np.zeros((1, FORCED + 1), np.int32) for _ in range(2)]
    for row, ids in zip(padded, (source, [decoding.BOS, *words]), strict=True):
        row[0, : len(ids)] = ids
    return np.array(_log_probs(*network, *padded))[0, : len(words) + 1]


def scored(network: Network, source: Ids, words: Ids) -> np.ndarray:
    """Of the words and EOS."""
    found = log_probs(network, source, words)
    return found[np.arange(len(found)), [*words, EOS]]


def greedy(network: Network, source: Ids) -> Ids:
    """`FORCED` words, the likeliest each time."""
    words: Ids = []
    while len(words) < FORCED:
        likeliest = log_probs(network, source, words)[-1]
        likeliest[[decoding.PAD, decoding.BOS, EOS, decoding.UNK]] = -np.inf
        words.append(int(likeliest.argmax()))
    return words


def fake(*seconds: float) -> list[str]:
    """A contestant that takes so long for each request, and then ends."""
    return [sys.executable, "-c", ANSWERS.replace("SECONDS", repr(seconds))]


@pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
def test_a_network_is_read_as_it_was_written(tmp_path, positions):
    written = exchange.random(small(positions=positions))
    exchange.write(tmp_path, written)
    read = exchange.read(tmp_path)
    assert read.model == written.model
    jax.tree.map(np.testing.assert_array_equal, read.params, written.params)


@pytest.mark.parametrize("module", ["query", "output"])
def test_a_matrix_does_what_the_layer_does(module):
    heads_in = module == "output"
    layer = nn.DenseGeneral(12, axis=(-2, -1), use_bias=False)
    if not heads_in:
        layer = nn.DenseGeneral((3, 4), use_bias=False)
    x = jax.random.normal(jax.random.key(0), (5, 3, 4) if heads_in else (5, 12))
    params = layer.init(jax.random.key(1), x)
    weights = {f"attention/{module}/kernel": np.asarray(params["params"]["kernel"])}
    matrix = decoding.Network({}, weights).matrix(f"attention/{module}")
    expected = np.asarray(layer.apply(params, x)).reshape(5, 12)
    found = np.asarray(x).reshape(5, 12) @ matrix.T
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@given(st.lists(st.integers(1, 9)), st.integers(1, 4))
def test_sorting_by_length_keeps_the_order(lengths, rows):
    sources = [[number] * length for number, length in enumerate(lengths)]
    sizes = []

    def search(chunk):
        sizes.append(len(chunk))
        return [[source[0]] for source in chunk]

    found = decoding.by_length(sources, rows, search)
    assert found == [[number] for number in range(len(lengths))]
    assert all(size <= rows for size in sizes)


def test_ours_writes_as_many_tokens_as_are_forced(network):
    found = ours.Decoder(network).search(SOURCES, 3, FORCED)
    assert [len(ids) for ids in found] == [FORCED - 1] * len(SOURCES)
    assert not {EOS, decoding.PAD, decoding.BOS} & set(np.concatenate(found))


def test_ours_may_end_where_nothing_is_forced_but_not_after_the_limit(network):
    found = ours.Decoder(network).search(SOURCES, 1, None)
    limits = map(decoding.limit, SOURCES)
    assert all(len(ids) < limit for ids, limit in zip(found, limits, strict=True))


def test_our_scores_are_log_probabilities_of_the_target(network):
    targets = [[8, 5], [30, 4, 17, 9], []]
    scores = ours.Decoder(network).score(SOURCES, targets)
    for source, target, found in zip(SOURCES, targets, scores, strict=True):
        np.testing.assert_allclose(found, scored(network, source, target), atol=1e-5)


@pytest.mark.parametrize(
    ("script", "library", "norm"),
    [
        ("ctranslate.py", "ctranslate2", "pre"),
        ("ctranslate.py", "ctranslate2", "post"),
        ("hf.py", "transformers", "pre"),  # slow to import, so once
    ],
)
def test_rivals_compute_what_we_compute(tmp_path, script, library, norm):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    network = exchange.random(small(norm=norm, encoder_layers=2))
    exchange.write(tmp_path, network)
    line = [sys.executable, str(servers.ROOT / "benchmarks" / "rivals" / script)]
    with servers.serving({"rival": [*line, str(tmp_path)]}) as contestants:
        assert not contestants.missing
        rival = contestants.running["rival"]
        request = {"sources": SOURCES, "batch": 2, "width": 1, "forced": FORCED}
        targets = rival.ask(**request)["targets"]
        scores = rival.ask(sources=SOURCES, targets=targets)["log_probs"]
    for source, target, found in zip(SOURCES, targets, scores, strict=True):
        assert target == greedy(network, source)
        np.testing.assert_allclose(found, scored(network, source, target), atol=1e-4)


def test_a_contest_goes_on_without_the_rivals_that_cannot_run(tmp_path):
    command = decode.Command(
        widths=(1,), batches=(1,), rounds=1, rivals_python=str(tmp_path / "none")
    )
    task = sentences.random(small(), FORCED, tmp_path)
    result = decode.contest(command, task)
    row, *variants = result["rows"]
    assert row.name == decode.OURS and row.ratio == row.same == 1
    assert all(other.name.startswith(decode.OURS) for other in variants)
    assert row.tokens == pytest.approx(FORCED * row.sentences.median)
    assert len(result["missing"]) == 4
    assert "Hugging Face: missing, " in decode.table(result)


def test_rates_are_medians_of_turns_after_the_first(tmp_path):
    task = sentences.Task("", tmp_path, SOURCES, {None: len(SOURCES)}, FORCED)
    lines = {"ours": fake(9, 1, 3, 2), "tortoise": fake(9, 8, 5, 4)}
    with servers.serving(lines) as contestants:
        rows = decode.turns(task, 1, None, contestants, 3)
    assert [row.sentences for row in rows] == [(3 / 2, 1, 3), (3 / 5, 3 / 8, 3 / 4)]
    assert [row.ratio for row in rows] == [1, 2.5]


def test_who_fails_on_the_way_is_missing_but_for_us(tmp_path):
    task = sentences.Task("", tmp_path, SOURCES, {None: len(SOURCES)}, FORCED)
    with servers.serving({"ours": fake(1, 1, 1), "hare": fake(1, 1)}) as contestants:
        [row] = decode.turns(task, 1, None, contestants, 2)
        assert row.name == "ours"
        assert contestants.missing == {"hare": "tired"}
        with pytest.raises(InputError, match="tired"):
            contestants.ask(sources=SOURCES)


def test_a_contestant_may_be_left_out_by_its_name_but_never_ours(tmp_path):
    everyone = decode.taking_part(decode.Command(), tmp_path)
    one = "CTranslate2 int8"
    others = decode.taking_part(decode.Command(leave_out=(one,)), tmp_path)
    assert [*others] == [name for name in everyone if name != one]
    for wrong in ("ours", "nobody"):
        with pytest.raises(InputError, match=f"{wrong}.*'{one}'"):
            decode.taking_part(decode.Command(leave_out=(wrong,)), tmp_path)


def test_the_first_translation_is_timed_with_an_empty_cache_and_with_a_full_one(
    monkeypatch, tmp_path
):
    caches = []

    def seconds(line, cache):
        caches.append((line[-1], list(Path(cache).iterdir())))
        (Path(cache) / "program").touch()
        return len(caches)

    monkeypatch.setattr(latency, "_seconds", seconds)
    found = latency.seconds(tmp_path, "words", {"hare": ["hare"]}, 2)
    assert [bool(programs) for _, programs in caches] == [False, True, True] * 2
    assert {text for text, _ in caches} == {"words"}
    assert [spread.least for spread in found.values()] == [1, 2, 3]
    assert "| hare | 4.50 (3.00 to 6.00) |" in latency.table(found)


@pytest.mark.parametrize("program", ["exit('asleep')", "", "print()"])
def test_who_translates_nothing_has_no_time(tmp_path, program):
    with pytest.raises(servers.Failed):
        latency._seconds([sys.executable, "-S", "-c", program], str(tmp_path))
