/// A header of a safetensors file that is not one, or does not fit the data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SafetensorsProblem {
    /// The file is too short for its own header.
    #[error(
        "the header of a safetensors file needs {need} bytes but the file has {file}: it is \
         truncated or is not a safetensors file"
    )]
    HeaderLength {
        /// Size of the length field (8 bytes) and of the header that it announces, in bytes.
        need: u64,
        /// Length of the file in bytes.
        file: u64,
    },
    /// The header is larger than any real one.
    #[error("the header has {length} bytes, more than the limit of {most}")]
    HeaderLimit {
        /// Length of the header in bytes.
        length: u64,
        /// The limit in bytes.
        most: u64,
    },
    /// The header is not a JSON object.
    #[error(
        "the header of a safetensors file begins with {{ but this one with \"{start}\": the file \
         is damaged or is not a safetensors file"
    )]
    HeaderStart {
        /// The first characters.
        start: String,
    },
    /// The length of a tensor's data does not match its shape and type.
    #[error("the data is at bytes {start} to {end}, but shape and type need {need} bytes")]
    DataLength {
        /// First byte, counted from the end of the header.
        start: u64,
        /// End of the data, counted likewise.
        end: u64,
        /// Length in bytes that shape and type need.
        need: u64,
    },
    /// Tensors overlap, or bytes belong to no tensor.
    #[error(
        "the data begins at byte {found} but the previous tensor ends at byte {expected}: expected \
         no gap and no overlap"
    )]
    NotContiguous {
        /// End of the previous tensor's data, counted from the end of the header.
        expected: u64,
        /// Start of the data.
        found: u64,
    },
    /// The tensors do not fill the rest of the file exactly.
    #[error(
        "the tensors need {expected} bytes after the header but the file has {found}: it is \
         truncated or damaged"
    )]
    FileLength {
        /// Bytes of all tensors.
        expected: u64,
        /// Bytes after the header.
        found: u64,
    },
}
