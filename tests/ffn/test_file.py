"""Model files: what is written comes back, and whatever else lies there ends in one sentence."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference_workers.ffn import load_network
from inference_workers.ffn.file import CONFIG, WEIGHTS, read_config, read_model, write_model
from inference_workers.ffn.model import ModelError, Training, encode_config
from tests.ffn.forward import config, some_weights

CONFIGURATION = msgspec.structs.replace(
    config(2, 3), variable="IVT", units="kg m-1 s-1", training=Training(source="rivers", steps=[(0, 160)], seed=4)
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound model file."""
    path = tmp_path_factory.mktemp("model") / "sound.keras"
    write_model(path, CONFIGURATION, some_weights(2, 3))
    return path


def changed(model: Path, to: Path, members: dict[str, bytes | None]) -> Path:
    """The model with other members; None leaves one out."""
    with zipfile.ZipFile(model) as old, zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as new:
        for name in {*old.namelist(), *members}:
            raw = members.get(name, b"") if name in members else old.read(name)
            if raw is not None:
                new.writestr(name, raw)
    return to


def with_weights(model: Path, to: Path, change: Callable[[h5py.File], None]) -> Path:
    """The model with something changed in its HDF5 file."""
    with zipfile.ZipFile(model) as archive:
        raw = io.BytesIO(archive.read(WEIGHTS))
    with h5py.File(raw, "r+") as file:
        change(file)
    return changed(model, to, {WEIGHTS: raw.getvalue()})


def complaint(path: Path) -> str:
    """What is said of a file that cannot be used; it names the file, in one line."""
    with pytest.raises(ModelError) as caught:
        read_model(path)
    said = str(caught.value)
    assert str(path) in said
    assert "\n" not in said
    return said


def test_what_is_written_comes_back(model: Path) -> None:
    found = read_model(model)
    assert found.config == CONFIGURATION == read_config(model)
    for name, array in some_weights(2, 3).items():
        np.testing.assert_array_equal(found.weights[name], array)


def test_writing_replaces_a_file_whole_and_leaves_nothing_beside_it(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(b"old")
    write_model(path, CONFIGURATION, some_weights(2, 3))
    assert read_config(path) == CONFIGURATION
    with pytest.raises(ModelError, match=r"conv0_a/weights has shape"):
        write_model(path, config(2, 4), some_weights(2, 3))
    assert read_config(path) == CONFIGURATION
    assert os.listdir(tmp_path) == ["model.keras"]  # noqa: PTH208
    with pytest.raises(ModelError, match=r"does not end in \.keras"):
        write_model(tmp_path / "model.h5", CONFIGURATION, some_weights(2, 3))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "there is no model file" in complaint(tmp_path / "none.keras")
    with pytest.raises(ModelError, match="there is no model file"):
        load_network(tmp_path / "none.keras")


@pytest.mark.parametrize("content", [b"", b"PK", b"\x89HDF\r\n\x1a\n" + bytes(500), b"weights"])
def test_what_is_no_keras_file_is_called_so(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.keras"
    path.write_bytes(content)
    assert "is no Keras file" in complaint(path)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.7, 0.98, 0.9999])
def test_a_truncated_file_is_called_so(share: float, model: Path, tmp_path: Path) -> None:
    path, whole = tmp_path / "cut.keras", model.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert "truncated or damaged" in complaint(path)


def test_a_keras_file_of_another_kind_is_told_apart(model: Path, tmp_path: Path) -> None:
    assert "no model of a flood-filling network" in complaint(changed(model, tmp_path / "a.keras", {CONFIG: None}))
    assert "it has no model.weights.h5" in complaint(changed(model, tmp_path / "b.keras", {WEIGHTS: None}))


def test_a_newer_version_is_told_apart_even_if_it_says_more(model: Path, tmp_path: Path) -> None:
    record = msgspec.json.decode(encode_config(CONFIGURATION))
    record["version"] = 7
    record["flood"]["patience"] = 3
    path = changed(model, tmp_path / "new.keras", {CONFIG: msgspec.json.encode(record)})
    assert "is of version 7, this CaveCast reads version 1" in complaint(path)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"version": 1}', b'{"version": "x"}', b"\xff\xfe"])
def test_a_configuration_that_is_none_is_called_so(raw: bytes, model: Path, tmp_path: Path) -> None:
    assert "does not say how it is to be used" in complaint(changed(model, tmp_path / "odd.keras", {CONFIG: raw}))


def test_weights_of_another_shape_are_named_with_both_shapes(model: Path, tmp_path: Path) -> None:
    path = changed(model, tmp_path / "wide.keras", {CONFIG: encode_config(config(2, 5))})
    assert "conv0_a/weights has shape (3, 3, 3, 2, 3), but the network that the file describes means" in complaint(path)
    path = changed(model, tmp_path / "deep.keras", {CONFIG: encode_config(config(3, 3))})
    assert "has no conv2_a/weights, which a network of depth 3 has" in complaint(path)
    path = changed(model, tmp_path / "flat.keras", {CONFIG: encode_config(config(1, 3))})
    assert "conv1_a/weights has no place in the network" in complaint(path)


def test_a_network_beyond_reach_is_refused_before_memory_is_taken(model: Path, tmp_path: Path) -> None:
    path = changed(model, tmp_path / "huge.keras", {CONFIG: encode_config(config(100_000, 3))})
    assert "out of reach" in complaint(path)
    path = changed(model, tmp_path / "field.keras", {CONFIG: encode_config(config(2, 3, (9999, 9999, 9999)))})
    assert "a field of view of (9999, 9999, 9999) is out of reach" in complaint(path)


def test_a_member_that_unfolds_to_more_than_is_possible_is_not_unfolded(model: Path, tmp_path: Path) -> None:
    path = changed(model, tmp_path / "bomb.keras", {WEIGHTS: bytes(50_000_000)})
    assert path.stat().st_size < 200_000
    assert "has 50,000,000 bytes" in complaint(path)
    path = changed(model, tmp_path / "bomb2.keras", {CONFIG: b" " * 5_000_000})
    assert "has 5,000,000 bytes" in complaint(path)


def test_an_array_elsewhere_is_not_followed(model: Path, tmp_path: Path) -> None:
    other = tmp_path / "secret.h5"
    with h5py.File(other, "w") as file:
        file["kernel"] = np.zeros((3, 3, 3, 2, 3), np.float32)

    def external(file: h5py.File) -> None:
        del file["layers/conv3d/vars/0"]
        file["layers/conv3d/vars/0"] = h5py.ExternalLink(str(other), "kernel")

    def soft(file: h5py.File) -> None:
        file.move("layers/conv3d", "layers/aside")
        file["layers/conv3d"] = h5py.SoftLink("/layers/aside")

    def raw(file: h5py.File) -> None:
        del file["layers/conv3d/vars/0"]
        file["layers/conv3d/vars"].create_dataset("0", (3, 3, 3, 2, 3), np.float32, external=[(str(other), 0, 648)])

    def doubles(file: h5py.File) -> None:
        whole = file["layers/conv3d/vars/0"][...].astype(np.float64)
        del file["layers/conv3d/vars/0"]
        file["layers/conv3d/vars/0"] = whole

    assert "weights are damaged" in complaint(with_weights(model, tmp_path / "a.keras", external))
    assert "weights are damaged" in complaint(with_weights(model, tmp_path / "b.keras", soft))
    assert "is not stored as plain float32" in complaint(with_weights(model, tmp_path / "c.keras", raw))
    assert "is not stored as plain float32" in complaint(with_weights(model, tmp_path / "d.keras", doubles))


def test_weights_that_are_not_finite_are_refused(model: Path, tmp_path: Path) -> None:
    def spoil(file: h5py.File) -> None:
        file["layers/conv3d_1/vars/1"][0] = np.nan

    said = complaint(with_weights(model, tmp_path / "nan.keras", spoil))
    assert "conv0_b/biases holds numbers that are not finite" in said


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4))
def test_damage_anywhere_ends_in_a_sentence_or_changes_nothing(
    damage: list[tuple[float, int]], model: Path, tmp_path: Path
) -> None:
    raw = bytearray(model.read_bytes())
    for at, value in damage:
        raw[int(at * len(raw))] = value
    path = tmp_path / "damaged.keras"
    path.write_bytes(raw)
    try:
        found = read_model(path)
    except ModelError as why:
        said = str(why)
        found = None
    if found is None:
        assert "\n" not in said
    else:
        assert found.config == CONFIGURATION
        for name, array in some_weights(2, 3).items():
            np.testing.assert_array_equal(found.weights[name], array)
