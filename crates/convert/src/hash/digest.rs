use std::fmt;
use std::hash::Hasher as _;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use twox_hash::XxHash64;

/// An algorithm of hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Algorithm {
    /// XXH64 with seed 0: fast, no protection against forgery.
    Xxh64,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// BLAKE3.
    Blake3,
    /// A UUID (version 5) of the whole model, in the name space of `llama-gguf-hash`.
    Uuid,
}

/// The name space of the UUIDs: ef001206-dadc-5f6d-a15f-3359e577d4e5.
const NAME_SPACE: [u8; 16] = 0xef00_1206_dadc_5f6d_a15f_3359_e577_d4e5_u128.to_be_bytes();

impl Algorithm {
    /// All algorithms, in the order of manifests.
    pub const ALL: &'static [Self] =
        &[Self::Xxh64, Self::Sha1, Self::Sha256, Self::Blake3, Self::Uuid];

    /// The algorithms from the one that is hardest to forge on.
    pub const STRONGEST_FIRST: &'static [Self] =
        &[Self::Sha256, Self::Blake3, Self::Sha1, Self::Xxh64, Self::Uuid];

    /// The name in manifests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xxh64 => "xxh64",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Blake3 => "blake3",
            Self::Uuid => "uuid",
        }
    }

    /// The algorithm with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|algorithm| algorithm.name() == name)
    }

    /// Whether tensors have hashes of their own: a UUID names a model.
    pub const fn is_for_tensors(self) -> bool {
        !matches!(self, Self::Uuid)
    }

    pub(super) fn start(self) -> Digest {
        match self {
            Self::Xxh64 => Digest::Xxh64(Box::new(XxHash64::with_seed(0))),
            Self::Sha1 => Digest::Sha1(Sha1::new()),
            Self::Sha256 => Digest::Sha256(Sha256::new()),
            Self::Blake3 => Digest::Blake3(Box::default()),
            Self::Uuid => Digest::Uuid(Sha1::new_with_prefix(NAME_SPACE)),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A hash that is being computed.
pub(super) enum Digest {
    Xxh64(Box<XxHash64>),
    Sha1(Sha1),
    Sha256(Sha256),
    Blake3(Box<blake3::Hasher>),
    Uuid(Sha1),
}

impl Digest {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Xxh64(state) => state.write(bytes),
            Self::Sha1(state) | Self::Uuid(state) => state.update(bytes),
            Self::Sha256(state) => state.update(bytes),
            Self::Blake3(state) => _ = state.update(bytes),
        }
    }

    /// Returns the hash as hexadecimal digits.
    pub(super) fn finish(self) -> String {
        match self {
            Self::Xxh64(state) => format!("{:016x}", state.finish()),
            Self::Sha1(state) => hex(&state.finalize()),
            Self::Sha256(state) => hex(&state.finalize()),
            Self::Blake3(state) => state.finalize().to_hex().to_string(),
            Self::Uuid(state) => uuid(&state.finalize()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first 16 bytes of a hash as a UUID of version 5 (RFC 9562, section 5.5).
fn uuid(sha1: &[u8]) -> String {
    let mut bytes = sha1[..16].to_vec();
    bytes[6] = bytes[6] & 0x0f | 0x50;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex(&bytes);
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_hashes() {
        for (algorithm, expected) in [
            (Algorithm::Xxh64, "44bc2cf5ad770999"),
            (Algorithm::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (Algorithm::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (Algorithm::Blake3, "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"),
        ] {
            let mut digest = algorithm.start();
            digest.update(b"a");
            digest.update(b"bc");
            assert_eq!(digest.finish(), expected, "{algorithm}");
            assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
        }
    }

    /// A UUID as RFC 9562 has it, but for its name space.
    #[test]
    fn uuids_have_their_version_and_variant() {
        let sha1: Vec<u8> = (0..20).map(|i| i * 13).collect();
        assert_eq!(uuid(&sha1), "000d1a27-3441-5e5b-a875-828f9ca9b6c3");
    }
}
