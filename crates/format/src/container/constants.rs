/// The first four bytes of a file.
pub const MAGIC: [u8; 4] = *b"GGUF";

/// The version that is written.
pub const VERSION: u32 = 3;

/// The metadata key that sets the alignment of tensor data.
pub const ALIGNMENT_KEY: &str = "general.alignment";

/// The alignment of tensor data where `general.alignment` is absent, in bytes.
pub const DEFAULT_ALIGNMENT: u32 = 32;
