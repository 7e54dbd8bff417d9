/// Caps on what a file may ask for, all in one place.
///
/// Counts and lengths are also always compared with the bytes that are left in the file, so the
/// caps only matter for what a small file could blow up (nesting) and for what no real file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest metadata key, in bytes. The GGUF specification says 65,535.
    pub key_bytes: u64,
    /// Deepest nesting of arrays in arrays. More than 128 counts as 128, as every level needs
    /// some of the stack.
    pub array_depth: u32,
    /// Longest tensor name, in bytes. The GGUF specification says 64.
    pub tensor_name_bytes: u64,
    /// Most dimensions of a tensor. The GGUF specification says 4; more than
    /// [`Shape::MOST`](crate::Shape::MOST) cannot be represented.
    pub dimensions: u32,
}

impl Limits {
    /// The deepest nesting whatever [`array_depth`](Self::array_depth) says.
    const MOST_DEPTH: u32 = 128;

    /// The limits of the GGUF specification.
    pub const DEFAULT: Self =
        Self { key_bytes: 65_535, array_depth: 16, tensor_name_bytes: 64, dimensions: 4 };

    /// Limits for programs that only show what is in a file: published files of diffusion models
    /// have tensors of five dimensions, and names of more than 64 bytes.
    pub const INSPECT: Self = Self { tensor_name_bytes: 65_535, dimensions: 8, ..Self::DEFAULT };

    pub(crate) fn depth(&self) -> u32 {
        self.array_depth.min(Self::MOST_DEPTH)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
