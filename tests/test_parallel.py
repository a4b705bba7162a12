"""Whatever the mesh, the same numbers; and every mesh that cannot be is refused."""

import re
from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer import batches, optimizers, parallel, store
from transformer.batches import Plan
from transformer.checkpoints import Checkpoints
from transformer.config import DataConfig, ModelConfig, OptimizerConfig
from transformer.errors import InputError
from transformer.losses import Criterion
from transformer.model import Transformer
from transformer.step import Objective
from transformer.symbols import PAD
from transformer.update import Update, first_state

MESHES = ["fsdp=8", "tensor=4", "data=2,fsdp=2,tensor=2", "data=3"]
STEPS = 20

CFG = ModelConfig(
    vocab_size=96,
    dim=32,
    hidden_dim=64,
    num_heads=4,
    encoder_layers=1,
    decoder_layers=1,
    norm="pre",
    attention_dropout=0.1,
    activation_dropout=0.1,
)
OPTIMIZER = OptimizerConfig(peak=1e-3, warmup=10, ema=0.9, kind="muon")
CRITERION = Criterion(smoothing=0.1, consistency=1.0)
DATA = DataConfig(target="de", tokens=128, max_length=64, accumulate=2)


@pytest.fixture(scope="module")
def sentences():
    random = np.random.default_rng(0)

    def sentence():
        return random.integers(4, CFG.vocab_size, random.integers(1, 12)).tolist()

    return store.collect([(sentence(), sentence()) for _ in range(300)])


@dataclass(frozen=True)
class Imitation:
    """A device of an accelerator, as far as meshes look at it."""

    id: int
    platform: str
    device_kind: str
    process_index: int
    slice_index: int
    coords: tuple[int, int, int]
    core_on_chip: int = 0


def imitated(kind, platform, slices, coordinates):
    each = [(part, at) for part in range(slices) for at in coordinates]
    return [
        Imitation(number, platform, kind, number // 4, part, at)
        for number, (part, at) in enumerate(each)
    ]


HOST = [(n, 0, 0) for n in range(8)]
POD = [(a, b, c) for c in range(4) for b in range(4) for a in range(4)]
FLAT = [(a, b, 0) for b in range(16) for a in range(16)]


@pytest.mark.parametrize(
    ("kind", "platform", "slices", "coordinates", "shape"),
    [
        ("NVIDIA H100", "gpu", 1, HOST, (8, 1, 1)),
        ("NVIDIA H100", "gpu", 2, HOST, (16, 1, 1)),
        ("NVIDIA H100", "gpu", 2, HOST, (2, 1, 8)),
        ("NVIDIA H100", "gpu", 4, HOST, (2, 2, 8)),
        ("NVIDIA H100", "gpu", 3, HOST, (1, 24, 1)),
        ("TPU v4", "tpu", 1, POD, (32, 1, 2)),
        ("TPU v5", "tpu", 2, POD, (32, 4, 1)),
        ("TPU v6 lite", "tpu", 1, FLAT, (32, 8, 1)),
    ],
)
def test_devices_of_several_slices_make_a_mesh_whose_last_axes_stay_within_one(
    kind, platform, slices, coordinates, shape
):
    devices = imitated(kind, platform, slices, coordinates)
    mesh = parallel._mesh(shape, devices)
    assert tuple(mesh.shape.values()) == shape
    assert {one.id for one in mesh.devices.flat} == set(range(len(devices)))
    part = np.vectorize(lambda one: one.slice_index)(mesh.devices)
    rest = -(-slices // shape[0])  # slices that the first axis cannot span
    assert all(len(np.unique(row)) == rest for row in part.reshape(shape[0], -1))
    assert (part == part[..., :1]).all()


def test_slices_that_differ_make_a_mesh_in_the_order_they_come():
    devices = imitated("NVIDIA H100", "gpu", 2, HOST)[:12]
    mesh = parallel._mesh((3, 1, 4), devices)
    assert [one.id for one in mesh.devices.flat] == list(range(12))


def beginning(sentences, mesh, cfg=OPTIMIZER):
    """A first state, its compiled update, and batches."""
    mesh = parallel.make(mesh)
    optimizer = optimizers.make(cfg, STEPS)
    lengths = batches.lengths(sentences)
    shapes = batches.shapes(lengths, DATA.budget)
    plan = Plan(lengths, np.ones(len(lengths), bool), shapes, DATA.accumulate, seed=0)
    objective = Objective(Transformer(CFG), CRITERION, mesh)
    state = first_state(objective, optimizer, 0)
    update = Update(objective, optimizer, DATA, state, plan.shapes)
    held = partial(parallel.held, mesh)
    return state, update, batches.stream(sentences, plan, STEPS, held)


def trained(sentences, mesh):
    """The state after some updates with dropout, and the losses, on the host."""
    state, update, stream = beginning(sentences, mesh)
    there, found = jax.tree.map(lambda x: x.sharding, state), []
    for batch in stream:
        with jax.transfer_guard("disallow"):  # what is moved is moved by name
            state, outcome = update(state, batch, interrupted=False)
        found.append(outcome.metrics)
    assert jax.tree.map(lambda x: x.sharding, state) == there
    return jax.device_get((state._replace(key=()), found))


@pytest.fixture(scope="module")
def alone(sentences):
    return trained(sentences, "data=1")


@pytest.mark.parametrize("mesh", MESHES)
def test_every_mesh_trains_to_the_same_state(sentences, alone, mesh):
    found = trained(sentences, mesh)
    for a, b in zip(*map(jax.tree.leaves, (alone, found)), strict=True):
        tolerance = 1e-5 * np.abs(a).max()
        np.testing.assert_allclose(b, a, rtol=0, atol=tolerance)


def communicated(update, kinds):
    """The result of each communication of some kinds in an update, as its text says."""
    [program] = update.programs()
    return re.findall(rf" = (.*) (?:{kinds})\(", program.as_text() or "")


def test_one_update_of_data_parallelism_is_one_sum_over_the_devices(sentences):
    """All gradients at once, after the loop over the chunks of the loss."""
    _, update, _ = beginning(sentences, "data=8")
    kinds = "all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute"
    found = communicated(update, kinds)
    assert len([shapes for shapes in found if re.search(r"\[\d", shapes)]) == 1


@pytest.mark.parametrize("mesh", ["fsdp=8", "data=2,fsdp=4"])
def test_what_is_gathered_is_parameters(sentences, mesh):
    """And never the states of all tokens, as for the gradients of a table."""
    adam = replace(OPTIMIZER, kind="adam")  # the other one gathers its matrices, too
    state, update, _ = beginning(sentences, mesh, adam)
    found = re.findall(r"\[([\d,]*)\]", " ".join(communicated(update, "all-gather")))
    assert found
    shapes = [list(leaf.shape) for leaf in jax.tree.leaves(state.params)]
    assert all([int(n) for n in shape.split(",") if n] in shapes for shape in found)


def test_between_updates_fsdp_keeps_a_part_of_every_large_array(sentences):
    state, _, _ = beginning(sentences, "fsdp=8")
    for leaf in jax.tree.leaves((state.params, state.opt_state)):
        if leaf.ndim > 1:
            assert leaf.addressable_shards[0].data.size == leaf.size // 8


def test_tensor_parallelism_divides_heads_hidden_widths_and_vocabulary(sentences):
    state, _, _ = beginning(sentences, "tensor=4")
    decoder = state.params["params"]["decoder_0"]
    whole_and_part = {
        name: (leaf.shape, leaf.sharding.shard_shape(leaf.shape))
        for name, leaf in {
            "query": decoder["attention"]["query"]["kernel"],
            "output": decoder["cross_attention"]["output"]["kernel"],
            "hidden": decoder["feed_forward"]["hidden"]["kernel"],
            "table": state.params["params"]["embedding"]["table"],
        }.items()
    }
    assert whole_and_part == {
        "query": ((32, 4, 8), (32, 1, 8)),
        "output": ((4, 8, 32), (1, 8, 32)),
        "hidden": ((32, 64), (32, 16)),
        "table": ((96, 32), (24, 32)),
    }


def test_a_vocabulary_that_an_axis_does_not_divide_stays_whole():
    table = {"embedding": {"table": jax.ShapeDtypeStruct((97, 32), jnp.float32)}}
    found = parallel.placed(parallel.make("fsdp=2,tensor=4"), table)
    place = found["embedding"]["table"].sharding
    assert place is not None and place.shard_shape((97, 32)) == (97, 16)


@pytest.mark.parametrize("other", ["data=1", "fsdp=4,tensor=2", "data=3"])
def test_a_checkpoint_of_one_mesh_is_loaded_on_another(sentences, tmp_path, other):
    state, _, _ = beginning(sentences, "data=2,fsdp=2,tensor=2")
    checkpoints = Checkpoints(tmp_path / "checkpoints", pytest.fail)
    checkpoints.save(1, {"state": state}, {})
    checkpoints.wait()
    like = parallel.placed(parallel.make(other), jax.eval_shape(lambda: state))
    items, _ = checkpoints.load(1, {"state": like})
    for a, b, c in zip(
        *map(jax.tree.leaves, (state, items["state"], like)), strict=True
    ):
        assert b.sharding.is_equivalent_to(c.sharding, b.ndim)
        if not jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            np.testing.assert_array_equal(a, b)


@given(st.integers(1, 20), st.sampled_from(MESHES))
def test_every_row_is_held_once_and_what_is_placed_keeps_its_order(rows, mesh):
    mesh = parallel.make(mesh)
    held = parallel.held(mesh, rows)
    groups = parallel.groups(mesh)
    assert held == list(range(-(-rows // groups) * groups))
    there = parallel.place(mesh, np.array(held)[None, :, None], before=1)
    np.testing.assert_array_equal(there[0, :, 0], held)


def test_the_batch_of_a_process_has_its_rows_and_empty_ones(sentences):
    lengths = batches.lengths(sentences)
    shapes = batches.shapes(lengths, DATA.budget)
    plan = Plan(lengths, np.ones(len(lengths), bool), shapes, accumulate=2, seed=0)
    shape, _ = plan.batch(0)
    rows = [1, shape.rows - 1, shape.rows, shape.rows + 5]
    [batch] = batches.stream(sentences, plan, 1, lambda _: rows)
    [full] = batches.stream(sentences, plan, 1)
    for part, everything in zip(*map(jax.tree.leaves, (batch, full)), strict=True):
        np.testing.assert_array_equal(part[:, :2], everything[:, rows[:2]])
        assert (part[:, 2:] == PAD).all()


def test_a_process_may_hold_nothing_but_empty_rows(sentences):
    lengths = batches.lengths(sentences)
    shapes = batches.shapes(lengths, DATA.budget)
    plan = Plan(lengths, np.ones(len(lengths), bool), shapes, accumulate=1, seed=0)
    [batch] = batches.stream(sentences, plan, 1, lambda rows: [rows, rows + 1])
    assert not any(leaf.any() for leaf in jax.tree.leaves(batch))


@pytest.mark.parametrize(
    ("mesh", "message"),
    [
        ("data=16", "a mesh of 16 devices, but there are 8"),
        ("data=0", "names and numbers"),
        ("model=2", "the axes are data, fsdp, tensor"),
        ("8", "names and numbers"),
        ("data=2,data=4", "names data twice"),
    ],
)
def test_a_mesh_that_cannot_be_is_refused(mesh, message):
    with pytest.raises(InputError, match=message):
        parallel.make(mesh)


def test_auto_takes_all_devices_for_rows():
    assert parallel.make("auto").shape == {"data": 8, "fsdp": 1, "tensor": 1}


@pytest.mark.parametrize(
    ("mesh", "name"),
    [("tensor=8", "num_heads"), ("fsdp=5", "dim"), ("tensor=3", "num_heads")],
)
def test_a_network_that_a_mesh_does_not_divide_is_refused(mesh, name):
    with pytest.raises(InputError, match=f"does not divide model.{name}="):
        parallel.check(parallel.make(mesh), CFG)
