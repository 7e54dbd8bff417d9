"""Encoding and decoding: the reference's bytes."""

from __future__ import annotations

import granule_gguf as granule
import numpy as np
import pytest
from conftest import FIXTURES, QUANTIZED, safetensors

ENCODED = [name for name in QUANTIZED if (FIXTURES / "blocks" / name.lower()).exists()]


@pytest.mark.parametrize("name", ENCODED)
def test_blocks_are_those_of_the_reference(name, inputs, vectors):
    expected = vectors(name)
    # row 46 of MXFP4 is one for which the reference writes blocks that it refuses
    rows = [row for row in range(72) if (name, row) != ("MXFP4", 46)]
    x, weights = inputs["x"][rows], inputs["imatrix"]
    if "encoded" in expected:
        assert np.array_equal(granule.encode(x, name), expected["encoded"][rows])
    else:
        with pytest.raises(granule.errors.EncodeError, match="importance"):
            granule.encode(x, name)
    if "encoded_imatrix" in expected:
        found = granule.encode(x, name.lower(), importance=weights, threads=2)
        assert np.array_equal(found, expected["encoded_imatrix"][rows])
    if "random_blocks" in expected:
        found = granule.decode(expected["random_blocks"], name)
        assert np.array_equal(found, expected["random_decoded"])


def test_large_arrays_are_shared_among_threads(inputs):
    x = np.tile(inputs["x"], (40, 1))
    expected = np.tile(granule.encode(inputs["x"], "Q4_K"), (40, 1))
    assert np.array_equal(granule.encode(x, "Q4_K"), expected)
    values = granule.decode(expected, "Q4_K")
    assert np.array_equal(values, np.tile(granule.decode(expected[:72], "Q4_K"), (40, 1)))
    half = granule.decode(expected, "Q4_K", dtype=np.float16)
    assert np.array_equal(half, values.astype(np.float16))


def test_each_matrix_has_its_weights(inputs):
    x = inputs["x"][:6].reshape(2, 3, 512)
    weights = np.stack([inputs["imatrix"], inputs["imatrix"][::-1]])
    found = granule.encode(x, "Q4_K", importance=weights)
    for matrix in range(2):
        expected = granule.encode(x[matrix], "Q4_K", importance=weights[matrix])
        assert np.array_equal(found[matrix], expected)


def test_other_arrays_are_converted(inputs):
    x = inputs["x"]
    expected = granule.encode(x[::2, ::-1], "Q8_0")
    assert np.array_equal(granule.encode(np.ascontiguousarray(x[::2, ::-1]), "Q8_0"), expected)
    assert np.array_equal(granule.encode(x[::2, ::-1].astype(np.float64), 8), expected)
    ty = granule.block_type("q8_0")
    assert np.array_equal(granule.encode(x[::2, ::-1].tolist(), ty), expected)
    assert granule.encode(x[0], "F16").shape == (1024,)
    assert granule.encode(np.zeros((0, 32), np.float32), "Q8_0").shape == (0, 34)


def test_more_effort_is_closer(inputs):
    # rows of ordinary weights: the first kinds
    x = np.random.default_rng(7).standard_normal((16, 512)).astype(np.float32)

    def error(blocks):
        return np.linalg.norm(granule.decode(blocks, "Q4_K") - x)

    assert error(granule.encode(x, "Q4_K", effort=1)) < error(granule.encode(x, "Q4_K"))
    with pytest.raises(ValueError, match="effort"):
        granule.encode(x, "Q4_K", effort=2)


def test_faults_are_exceptions():
    x = np.zeros((2, 256), np.float32)
    for array, options, match in [
        (x[:, :100], {}, "whole blocks"),
        (np.where(np.arange(512).reshape(2, 256) == 300, np.nan, x), {}, "value 300 is NaN"),
        (x, {"importance": np.ones(7)}, "7 importance weights"),
        (x, {"importance": -np.ones(256)}, "column 0"),
        (x, {"importance": np.zeros(256)}, "zero"),
    ]:
        with pytest.raises(granule.errors.EncodeError, match=match):
            granule.encode(array, "Q4_K", **options)
    with pytest.raises(granule.errors.UnknownTypeError, match="did you mean Q4_K"):
        granule.encode(x, "Q4K")
    with pytest.raises(granule.errors.UnknownTypeError, match="removed"):
        granule.encode(x, 4)
    for wrong in [None, 1.5]:
        with pytest.raises(TypeError):
            granule.encode(x, wrong)
    with pytest.raises(granule.errors.EncodeError, match="no encoder"):
        granule.encode(x, "I32")
    with pytest.raises(TypeError, match="uint8"):
        granule.decode(np.zeros(34, np.int8), "Q8_0")
    with pytest.raises(granule.errors.EncodeError, match="whole blocks"):
        granule.decode(bytes(33), "Q8_0")
    assert granule.decode(bytes(34), "Q8_0").tolist() == [0.0] * 32


def test_types_say_what_they_are():
    types = {ty.name: ty for ty in granule.block_types()}
    assert types["Q4_K"].id == 12 and types["Q4_K"].bits_per_value == 4.5
    assert (types["Q4_K"].block_values, types["Q4_K"].block_bytes) == (256, 144)
    assert types["Q4_K"].importance == "optional" and types["IQ1_S"].importance == "required"
    assert types["Q8_0"].importance == "ignored" and types["I32"].importance is None
    assert types["Q4_K"] == granule.block_type(12) and hash(types["Q4_K"]) is not None
    assert str(types["Q4_K"]) == "Q4_K" and not types["F32"].is_quantized


def test_importance_files(tmp_path, inputs):
    matrix = granule.Importance({"a.weight": inputs["imatrix"]}, datasets=["some.txt"])
    matrix.write(tmp_path / "imatrix.gguf")
    again = granule.Importance.read(tmp_path / "imatrix.gguf")
    assert list(again) == ["a.weight"] and again.datasets == ["some.txt"]
    assert np.array_equal(again["a.weight"], inputs["imatrix"])
    assert "a.weight" in again and "b" not in again and len(again) == 1
    with pytest.raises(KeyError):
        again["b"]
    with pytest.raises(granule.errors.ImportanceError):
        granule.Importance({"a": [-1.0]})
    (tmp_path / "text").write_text("none")
    with pytest.raises(granule.errors.ImportanceError):
        granule.Importance.read(tmp_path / "text")
    with pytest.raises(FileNotFoundError):
        granule.Importance.read(tmp_path / "missing")


def test_the_inputs_are_those_of_the_fixtures(inputs):
    assert inputs["x"].shape == (72, 512)
    assert set(safetensors(FIXTURES / "blocks" / "q4_k" / "vectors.safetensors")) >= {"encoded"}
