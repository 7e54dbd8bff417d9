/// Limits on what a file may ask for.
///
/// Counts and lengths are always compared with the remaining bytes as well. These limits cover the
/// rest: what a small file could inflate (nesting), and what no real file has.
///
/// ```
/// use granule_format::Limits;
///
/// let limits = Limits::DEFAULT.with_tensor_name_bytes(256);
/// assert_eq!(limits.tensor_name_bytes, 256);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive] // more may be limited
pub struct Limits {
    /// Longest metadata key, in bytes. The GGUF specification says 65,535.
    pub key_bytes: u64,
    /// Deepest nesting of arrays. Values above 128 count as 128, because every level uses stack.
    pub array_depth: u32,
    /// Longest tensor name, in bytes. The GGUF specification says 64.
    pub tensor_name_bytes: u64,
    /// Most dimensions of a tensor. The GGUF specification says 4; more than
    /// [`Shape::MOST`](crate::Shape::MOST) cannot be represented.
    pub dimensions: u32,
}

impl Limits {
    /// The deepest nesting for any value of [`array_depth`](Self::array_depth).
    const MOST_DEPTH: u32 = 128;

    /// The limits of the GGUF specification.
    pub const DEFAULT: Self =
        Self { key_bytes: 65_535, array_depth: 16, tensor_name_bytes: 64, dimensions: 4 };

    /// Limits for programs that only show the contents of a file. Published files of diffusion
    /// models have tensors with five dimensions and names of more than 64 bytes.
    pub const INSPECT: Self = Self { tensor_name_bytes: 65_535, dimensions: 8, ..Self::DEFAULT };

    /// The same limits with another longest metadata key, in bytes.
    #[must_use]
    pub const fn with_key_bytes(self, key_bytes: u64) -> Self {
        Self { key_bytes, ..self }
    }

    /// The same limits with another deepest nesting of arrays.
    #[must_use]
    pub const fn with_array_depth(self, array_depth: u32) -> Self {
        Self { array_depth, ..self }
    }

    /// The same limits with another longest tensor name, in bytes.
    #[must_use]
    pub const fn with_tensor_name_bytes(self, tensor_name_bytes: u64) -> Self {
        Self { tensor_name_bytes, ..self }
    }

    /// The same limits with another largest number of dimensions.
    #[must_use]
    pub const fn with_dimensions(self, dimensions: u32) -> Self {
        Self { dimensions, ..self }
    }

    pub(crate) fn depth(&self) -> u32 {
        self.array_depth.min(Self::MOST_DEPTH)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
