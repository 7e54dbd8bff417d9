//! The operations in NEON.
