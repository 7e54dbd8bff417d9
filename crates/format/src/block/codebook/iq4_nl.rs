//! The 16 levels of IQ4_NL and IQ4_XS.
//!
//! Source: the constants published in the PyPI package `gguf` (MIT), `gguf/quants.py`, class
//! `IQ4_NL`. They lie closer together around zero, where most weights are, and are not symmetric:
//! the sign of the scale decides which side gets the longer reach.

/// The level that each 4-bit code stands for, in ascending order.
pub const LEVELS: [i8; 16] =
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
