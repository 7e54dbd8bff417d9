#!/usr/bin/env python3
"""Write the codebooks of the IQ block types from the constants published in a PyPI package: as Rust
tables, and as text files for implementers in any language.

    pip install gguf==0.19.0 numpy
    tools/make_codebooks.py            write crates/format/src/block/codebook/*.rs, spec/codebooks/*.txt
    tools/make_codebooks.py --check    write nothing; exit 1 if a file differs from what would be written

spec/codebooks/README.md says how the text files are read. The exception is iq4_nl.rs, 16 levels that
are kept by hand; its text file is written here. The test spec_codebooks compares the two forms without
this script.

The tables do not depend on the machine or on the version of numpy. The package's version goes into the
header of every Rust file; other versions with the same constants would change that line alone."""
import argparse
import importlib.metadata
import pathlib
import sys

from gguf import quants

ROOT = pathlib.Path(__file__).resolve().parent.parent
RUST = ROOT / "crates/format/src/block/codebook"
TEXT = ROOT / "spec/codebooks"

# file, class in gguf/quants.py, element type, first words of the documentation
GRIDS = [
    ("iq1", "IQ1_S", "i8", "The codebook of IQ1_S and IQ1_M"),
    ("iq2_xxs", "IQ2_XXS", "u8", "The codebook of IQ2_XXS"),
    ("iq2_xs", "IQ2_XS", "u8", "The codebook of IQ2_XS"),
    ("iq2_s", "IQ2_S", "u8", "The codebook of IQ2_S"),
    ("iq3_xxs", "IQ3_XXS", "u8", "The codebook of IQ3_XXS"),
    ("iq3_s", "IQ3_S", "u8", "The codebook of IQ3_S"),
]


SHIFT = f"""/// What a group's values are shifted by, up or down.
pub const SHIFT: f32 = {float(quants.IQ1_S.delta)};
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    files = {}
    for name, class_name, element, words in GRIDS:
        rows, levels = grid(class_name)
        files[RUST / f"{name}.rs"] = grid_file(rows, levels, class_name, element, words)
        files[TEXT / f"{name}.txt"] = text_file(f"{words}: {len(rows)} entries of {len(rows[0])} values.", rows)
    patterns = [int(byte) for byte in quants.IQ2_XXS.ksigns]
    assert len(patterns) == 128
    files[RUST / "signs.rs"] = signs_file(patterns)
    signs = [[-1 if byte >> i & 1 else 1 for i in range(8)] for byte in patterns]
    files[TEXT / "signs.txt"] = text_file("The sign patterns of IQ2_XXS, IQ2_XS and IQ3_XXS: 128 patterns of 8 signs.", signs)
    levels = [[int(level)] for level in quants.IQ4_NL.kvalues]
    files[TEXT / "iq4_nl.txt"] = text_file("The levels of IQ4_NL and IQ4_XS: 16 values.", levels)
    stale = []
    for path, text in files.items():
        if check:
            if not path.exists() or path.read_text() != text:
                stale.append(str(path.relative_to(ROOT)))
        else:
            path.write_text(text)
    if stale:
        sys.exit(f"not as tools/make_codebooks.py writes them: {', '.join(stale)}")


def grid(class_name):
    """The entries of a codebook and the values that occur in them."""
    source = getattr(quants, class_name)
    source.init_grid()
    rows = source.grid.reshape(source.grid_shape).astype(int).tolist()
    assert len({tuple(row) for row in rows}) == len(rows), "entries repeat"
    levels = [int(level) for level in source.grid_map]
    assert all(value in levels for row in rows for value in row)
    return rows, levels


def text_file(words, rows):
    """The form that spec/codebooks/README.md describes."""
    return "\n".join([f"# {words}", *(" ".join(map(str, row)) for row in rows), ""])


def grid_file(rows, levels, class_name, element, words):
    """A Rust table with one row for each entry of the codebook."""
    count, length = len(rows), len(rows[0])
    return "\n".join([
        *header(f"{words}: {count} entries of {length} values.", f"class `{class_name}`", rows),
        f"/// The values that occur in [`GRID`], in ascending order; the position of a value is its level.",
        "#[rustfmt::skip]",
        f"pub const LEVELS: [{element}; {len(levels)}] = {levels};",
        "",
        f"/// An entry for each index: the magnitudes of {length} neighbouring values."
        if element == "u8"
        else f"/// An entry for each index: {length} neighbouring values.",
        "#[rustfmt::skip]",
        f"pub static GRID: [[{element}; {length}]; {count}] = [",
        *(f"    {row}," for row in rows),
        "];",
        "",
        *([SHIFT] if element == "i8" else []),
        checksum_line(rows),
        "",
    ])


def signs_file(patterns):
    """The Rust table from a 7-bit sign index to eight signs."""
    rows = [[byte] for byte in patterns]
    return "\n".join([
        *header("The sign patterns of IQ2_XXS, IQ2_XS and IQ3_XXS: 128 bytes of 8 signs.", "`IQ2_XXS.ksigns`", rows),
        "/// Eight signs for each 7-bit index: bit `i` is set if value `i` is negative. The number of set",
        "/// bits is even: bits 0 to 6 are the index, bit 7 completes its parity.",
        "#[rustfmt::skip]",
        "pub static SIGNS: [u8; 128] = [",
        *(f"    0b{row[0]:08b}," for row in rows),
        "];",
        "",
        checksum_line(rows),
        "",
    ])


def header(words, where, rows):
    version = importlib.metadata.version("gguf")
    return [
        f"//! {words}",
        "//!",
        f"//! Generated by `tools/make_codebooks.py`; do not edit. Source: the constants published in the",
        f"//! PyPI package `gguf` {version} (MIT), `gguf/quants.py`, {where}. FNV-1a (64 bits) of the",
        f"//! table's bytes, row by row: `{fnv(rows):016x}`.",
        "",
    ]


def checksum_line(rows):
    return "\n".join([
        "/// FNV-1a (64 bits) of the table's bytes, row by row.",
        "#[cfg(test)]",
        f"pub(super) const CHECKSUM: u64 = 0x{fnv(rows):016x};",
    ])


def fnv(rows):
    """FNV-1a with 64 bits over the rows' values as bytes."""
    digest = 0xCBF29CE484222325
    for row in rows:
        for value in row:
            digest = (digest ^ (value & 255)) * 0x100000001B3 % 2**64
    return digest


if __name__ == "__main__":
    main()
