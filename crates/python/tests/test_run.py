"""Running models over texts."""

from __future__ import annotations

import granule_gguf as granule
import pytest

from conftest import CHECKPOINT

TEXTS = ["The quick brown fox jumps over the lazy dog. " * 40]


def test_what_quantizing_costs(model_path):
    found = granule.measure(model_path, TEXTS, against=CHECKPOINT, chunk_tokens=32, chunks=2)
    assert found["positions"] > 0
    for name in ["perplexity", "base_perplexity", "divergence", "same_top"]:
        assert found[name]["value"] >= 0
    assert found["divergence"]["value"] > 0
    alone = granule.measure(model_path, TEXTS, chunk_tokens=32, chunks=2, threads=1)
    assert alone["perplexity"] == found["perplexity"] and "divergence" not in alone


def test_importance_of_a_model(tmp_path):
    matrix = granule.imatrix(CHECKPOINT, TEXTS, chunk_tokens=32, chunks=2)
    assert "blk.0.ffn_up.weight" in matrix and (matrix["blk.0.ffn_up.weight"] >= 0).all()
    granule.convert(CHECKPOINT, tmp_path / "a.gguf", "Q4_K", imatrix=matrix)


def test_models_that_cannot_be_run(tmp_path):
    with pytest.raises(granule.errors.ModelError, match="chunk"):
        granule.measure(CHECKPOINT, ["short"])
    granule.save_file(tmp_path / "a.gguf", {}, {"general.architecture": "none"})
    with pytest.raises(granule.errors.ModelError, match="none"):
        granule.imatrix(tmp_path / "a.gguf")
    with pytest.raises(FileNotFoundError):
        granule.measure(tmp_path / "none.gguf")
