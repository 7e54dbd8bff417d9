//! Instruction sets: which ones this CPU has, and how code is compiled for them.
//!
//! [`Isa::run`] is the boundary. It calls a closure from inside a function that is compiled for the
//! instruction set. Everything below that closure that is `#[inline(always)]` is compiled for it
//! too, so plain loops over arrays become vector code without `unsafe`. Cross the boundary once for
//! one or several rows, never for a block.
//!
//! Compiling for more instructions changes no result: Rust neither reorders floating-point sums nor
//! contracts a multiplication and an addition into one rounding.

// Where plain loops are not enough, `Isa::with_simd` crosses the boundary with the operations of
// `Simd`, in which kernels are written once for all instruction sets.

// first, as its macros are for all that follow
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))]
#[macro_use]
mod features;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx2_lanes;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod codebook;
mod error;
mod lanes;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
mod neon;
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))]
mod operations;
mod scalar;
mod simd;
mod stream;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

pub(crate) use codebook::{Eights, Fours};
pub use error::IsaError;
pub(crate) use lanes::{Lanes, WithLanes};
pub(crate) use simd::{Simd, WithSimd};
pub(crate) use stream::write_past_caches;

/// An instruction set that this CPU is known to have: holding one is the proof.
///
/// It is parsed from its [name](Self::name), in upper or lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Isa(Level);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Level {
    Scalar,
    #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
    Neon,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// With VNNI, VBMI and GFNI.
    #[cfg(target_arch = "x86_64")]
    Avx512Full,
}

/// The environment variable that overrides [`Isa::detect`].
pub const VARIABLE: &str = "GRANULE_ISA";

/// The names of the instruction sets of all processors.
const NAMES: [&str; 4] = ["scalar", "neon", "avx2", "avx512"];

impl Isa {
    /// Code compiled for the target alone (`sse2` on x86-64): runs everywhere.
    pub const SCALAR: Self = Self(Level::Scalar);

    /// The best instruction set of this CPU, or the one that the environment variable `GRANULE_ISA`
    /// names. Decided once per process.
    ///
    /// # Panics
    /// If the variable does not name an instruction set of this CPU. A program that wants to report
    /// that itself calls [`from_env`](Self::from_env) first.
    pub fn detect() -> Self {
        static CHOSEN: OnceLock<Isa> = OnceLock::new();
        *CHOSEN.get_or_init(|| {
            Self::from_env().unwrap_or_else(|error| panic!("the variable {VARIABLE}: {error}"))
        })
    }

    /// The instruction set that the environment variable `GRANULE_ISA` names (`scalar`, `avx2`,
    /// `avx512` or `neon`); the best one of this CPU if the variable is absent or empty.
    ///
    /// # Errors
    /// If there is no such instruction set, or this CPU does not have it.
    pub fn from_env() -> Result<Self, IsaError> {
        match std::env::var_os(VARIABLE) {
            Some(name) if !name.is_empty() => name.to_string_lossy().parse(),
            _ => Ok(*Self::available().last().expect("at least `scalar`")),
        }
    }

    /// All instruction sets of this CPU, from the plainest to the best. Tests run on each.
    pub fn available() -> Vec<Self> {
        let levels = [
            Some(Level::Scalar),
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            is_detected!(neon).then_some(Level::Neon),
            #[cfg(target_arch = "x86_64")]
            is_detected!(avx2).then_some(Level::Avx2),
            #[cfg(target_arch = "x86_64")]
            is_detected!(avx512)
                .then(|| if is_detected!(avx512_full) { Level::Avx512Full } else { Level::Avx512 }),
        ];
        levels.into_iter().flatten().map(Self).collect()
    }

    /// `scalar`, `avx2`, `avx512` or `neon`.
    pub const fn name(self) -> &'static str {
        match self.0 {
            Level::Scalar => "scalar",
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Level::Neon => "neon",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 | Level::Avx512Full => "avx512",
        }
    }

    /// Calls `work`, compiled for this instruction set. Mark the closure and what it calls
    /// `#[inline(always)]`, otherwise they are compiled for the plain target.
    #[inline]
    pub fn run<R>(self, work: impl FnOnce() -> R) -> R {
        match self.0 {
            Level::Scalar => work(),
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            // SAFETY: a `Level::Neon` exists only after detection found the feature.
            Level::Neon => unsafe { neon(work) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a `Level::Avx2` exists only after detection found these features.
            Level::Avx2 => unsafe { avx2(work) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a `Level::Avx512` exists only after detection found these features.
            Level::Avx512 | Level::Avx512Full => unsafe { avx512(work) },
        }
    }

    /// [Calls](Self::run) `work` with registers of 32 bytes, if this instruction set has longer
    /// ones: for short loops, which compile to slower code for registers of 64 bytes.
    #[inline]
    pub fn run_up_to_32_bytes<R>(self, work: impl FnOnce() -> R) -> R {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: what has AVX-512 was found to have AVX2.
            Level::Avx2 | Level::Avx512 | Level::Avx512Full => unsafe { avx2(work) },
            Level::Scalar => work(),
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            // SAFETY: a `Level::Neon` exists only after detection found the feature.
            Level::Neon => unsafe { neon(work) },
        }
    }

    /// Calls one of three forms of the same work with `state`: the one for the length of vector
    /// registers, compiled for this instruction set. What does not fit is not compiled. Mark the
    /// closures and what they call `#[inline(always)]`.
    #[inline]
    pub fn run_for_registers<S, R>(
        self,
        state: S,
        of_64_bytes: impl FnOnce(S) -> R,
        of_32_bytes: impl FnOnce(S) -> R,
        of_16_bytes: impl FnOnce(S) -> R,
    ) -> R {
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (of_64_bytes, of_32_bytes);
        match self.0 {
            Level::Scalar => of_16_bytes(state),
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            // SAFETY: a `Level::Neon` exists only after detection found the feature.
            Level::Neon => unsafe {
                neon(
                    #[inline(always)]
                    || of_16_bytes(state),
                )
            },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a `Level::Avx2` exists only after detection found these features.
            Level::Avx2 => unsafe {
                avx2(
                    #[inline(always)]
                    || of_32_bytes(state),
                )
            },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a `Level::Avx512` exists only after detection found these features.
            Level::Avx512 | Level::Avx512Full => unsafe {
                avx512(
                    #[inline(always)]
                    || of_64_bytes(state),
                )
            },
        }
    }

    /// Runs `work` with the vector operations of this instruction set, compiled for it.
    #[inline]
    pub(crate) fn with_simd<W: WithSimd>(self, work: W) -> W::Output {
        match self.0 {
            Level::Scalar => work.run(scalar::Scalar),
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            // SAFETY: a `Level::Neon` exists only after detection found the feature.
            Level::Neon => unsafe { neon::enter(work) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: both exist only after detection found these features.
            Level::Avx2 | Level::Avx512 => unsafe { avx2::enter(work) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a `Level::Avx512Full` exists only after detection found these features.
            Level::Avx512Full => unsafe { avx512::enter(work) },
        }
    }

    /// Whether this instruction set has the operations on [`Lanes`].
    #[inline]
    pub(crate) const fn has_lanes(self) -> bool {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 | Level::Avx512 | Level::Avx512Full => true,
            _ => false,
        }
    }

    /// Whether making panels of rows for a batch is faster than multiplying row by row.
    #[inline]
    pub(crate) const fn has_many_lanes(self) -> bool {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Full => true,
            _ => false,
        }
    }

    /// Runs `work` with the operations of this instruction set on lanes, compiled for it.
    ///
    /// # Panics
    /// If it does not [have them](Self::has_lanes).
    #[inline]
    pub(crate) fn with_lanes<W: WithLanes>(self, work: W) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: both exist only after detection found these features.
            Level::Avx2 | Level::Avx512 => unsafe { avx2_lanes::enter_lanes(work) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a `Level::Avx512Full` exists only after detection found these features.
            Level::Avx512Full => unsafe { avx512::enter_lanes(work) },
            _ => {
                drop(work);
                panic!("{self} has no operations on lanes");
            }
        }
    }
}

impl FromStr for Isa {
    type Err = IsaError;

    fn from_str(name: &str) -> Result<Self, IsaError> {
        let is_name = |other: &str| other.eq_ignore_ascii_case(name);
        let available = Self::available();
        if let Some(isa) = available.iter().find(|isa| is_name(isa.name())) {
            return Ok(*isa);
        }
        let available = available.into_iter().map(Self::name).collect();
        match NAMES.into_iter().find(|other| is_name(other)) {
            Some(name) => Err(IsaError::Absent { name, available }),
            None => Err(IsaError::Unknown { name: name.to_owned(), available }),
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
compiled_for! { neon:
    fn neon<R>(work: impl FnOnce() -> R) -> R {
        work()
    }
}

#[cfg(target_arch = "x86_64")]
compiled_for! { avx2:
    fn avx2<R>(work: impl FnOnce() -> R) -> R {
        work()
    }
}

#[cfg(target_arch = "x86_64")]
compiled_for! { avx512:
    fn avx512<R>(work: impl FnOnce() -> R) -> R {
        work()
    }
}
