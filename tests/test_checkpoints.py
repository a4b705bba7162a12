"""A checkpoint is whole, or it does not count."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transformer.checkpoints import Checkpoints
from transformer.errors import InputError

STATE = {
    "params": {"w": jnp.arange(6.0).reshape(2, 3), "b": jnp.ones(3, jnp.bfloat16)},
    "training": {"step": jnp.array(7), "key": jax.random.key(3), "none": ()},
}


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def checkpoints(tmp_path, warnings):
    return Checkpoints(tmp_path / "checkpoints", warnings.append, keep=2, every=10)


def save(checkpoints, *numbers):
    for number in numbers:
        checkpoints.save(number, STATE, {"number": number})
    checkpoints.wait()


def files(tmp_path, number):
    folder = tmp_path / "checkpoints" / str(number)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_what_is_loaded_is_what_was_saved(checkpoints):
    save(checkpoints, 10)
    like = jax.eval_shape(lambda: STATE)
    items, notes = checkpoints.load(10, like)
    assert notes == {"number": 10}
    assert jax.tree.structure(items) == jax.tree.structure(STATE)
    for found, saved in zip(
        jax.tree.leaves(items), jax.tree.leaves(STATE), strict=True
    ):
        assert found.dtype == saved.dtype
        if jnp.issubdtype(found.dtype, jax.dtypes.prng_key):
            found, saved = jax.random.key_data(found), jax.random.key_data(saved)
        np.testing.assert_array_equal(found, saved)


def test_one_item_can_be_loaded_alone(checkpoints):
    save(checkpoints, 10)
    like = jax.eval_shape(lambda: {"params": STATE["params"]})
    items, _ = checkpoints.load(10, like)
    assert list(items) == ["params"]


def test_the_newest_and_the_last_regular_ones_are_kept(checkpoints):
    save(checkpoints, 5, 10, 15, 20, 30, 33)
    assert checkpoints.numbers() == [20, 30, 33]
    assert checkpoints.regular() == [20, 30]


def test_every_flipped_or_cut_file_is_noticed(checkpoints, warnings, tmp_path):
    save(checkpoints, 10, 20)
    for path in files(tmp_path, 20):
        content = path.read_bytes()
        flipped = bytes([content[0] ^ 1]) + content[1:] if content else b"x"
        for damaged in (flipped, content[:-1]):
            path.write_bytes(damaged)
            assert checkpoints.newest() == (20 if damaged == content else 10), path
        path.write_bytes(content)
    assert checkpoints.newest() == 20
    assert "20 is damaged" in warnings[0]


def damage(tmp_path, number):
    next(p for p in files(tmp_path, number) if p.name != "seal.json").write_bytes(b"")


def test_damaged_ones_are_not_among_the_regular_ones(checkpoints, warnings, tmp_path):
    save(checkpoints, 10, 20, 30)
    damage(tmp_path, 20)
    assert checkpoints.regular() == [30]
    assert "20 is damaged" in warnings[0]


def test_a_damaged_one_does_not_outlive_those_that_come_again(checkpoints, tmp_path):
    save(checkpoints, 10, 20)
    damage(tmp_path, 20)
    save(checkpoints, 13)
    assert checkpoints.numbers() == [10, 13]
    assert checkpoints.newest() == 13


def test_a_missing_file_is_noticed(checkpoints, tmp_path):
    save(checkpoints, 10, 20)
    next(p for p in files(tmp_path, 20) if p.name != "seal.json").unlink()
    assert checkpoints.newest() == 10


def test_an_unsealed_checkpoint_does_not_count_and_is_cleared(checkpoints, tmp_path):
    save(checkpoints, 10, 20)
    (tmp_path / "checkpoints" / "20" / "seal.json").unlink()
    assert checkpoints.numbers() == [10]
    save(checkpoints, 30)
    assert not (tmp_path / "checkpoints" / "20").exists()


def test_an_existing_number_is_replaced(checkpoints):
    save(checkpoints, 10)
    checkpoints.save(10, {"params": {"w": jnp.zeros(1)}}, {"number": "new"})
    checkpoints.wait()
    _, notes = checkpoints.load(10, {"params": {"w": jnp.zeros(1)}})
    assert notes == {"number": "new"}


def test_a_folder_without_checkpoints_has_no_newest(checkpoints):
    assert checkpoints.newest() is None


def test_there_is_nothing_to_go_on_from_where_all_are_damaged(checkpoints, tmp_path):
    assert checkpoints.to_go_on_from() is None
    save(checkpoints, 10, 20)
    assert checkpoints.to_go_on_from() == 20
    damage(tmp_path, 20)
    assert checkpoints.to_go_on_from() == 10
    damage(tmp_path, 10)
    with pytest.raises(InputError, match="No checkpoint in .* is intact"):
        checkpoints.to_go_on_from()


def test_what_cannot_be_replaced_stays(checkpoints, monkeypatch):
    save(checkpoints, 10)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("transformer.checkpoints._seal", full)
        with pytest.raises(InputError, match="Those before it are intact"):
            save(checkpoints, 10)
        patch.setattr("transformer.checkpoints.ocp.save_checkpointables_async", full)
        with pytest.raises(InputError, match="No space"):
            save(checkpoints, 20)
    assert checkpoints.newest() == 10
    save(checkpoints, 10)
    assert [path.name for path in checkpoints._folder.iterdir()] == ["10"]


def test_what_goes_wrong_behind_training_is_raised_by_wait(checkpoints, monkeypatch):
    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("transformer.checkpoints._seal", full)
    checkpoints.save(10, STATE, {})
    with pytest.raises(InputError, match="No space"):
        checkpoints.wait()
    assert checkpoints.newest() is None


def test_arrays_may_be_donated_while_they_are_saved(checkpoints):
    def change(state):
        return jax.tree.map(lambda leaf: leaf + 1, state)

    update = jax.jit(change, donate_argnums=0)
    state = {"w": jnp.zeros(1_000_000)}
    for number in range(10, 60, 10):
        before = np.array(state["w"])
        checkpoints.save(number, {"state": state}, {})
        for _ in range(20):
            state = update(state)
        checkpoints.wait()
        items, _ = checkpoints.load(number, {"state": jax.eval_shape(change, state)})
        np.testing.assert_array_equal(items["state"]["w"], before)
