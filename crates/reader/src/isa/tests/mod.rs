//! Every operation on every instruction set of this CPU is compared with its definition: all lanes,
//! the edges of its documented domain, and random values between them.
//!
//! The definition of an operation of [`Simd`] is [`Scalar`](super::scalar::Scalar)'s. Where a
//! result may be rounded in two ways, both are computed here, and one of them must come. The
//! operations of [`Lanes`] have no scalar form in the program; their definitions are here.
//!
//! The tables are compared with the methods of the traits, so that an operation without a row is a
//! failure.

mod lanes;
mod simd;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Isa, Lanes, Simd, WithLanes, WithSimd};

/// Times that an operation is tried with other values.
const ROUNDS: usize = 400;

/// A table of operations: each by its name, with a function that tries it.
macro_rules! table {
    ($trait:ident: $( $name:ident => |$v:ident, $case:ident| $body:block )*) => {
        /// The operations' names, and the text of the functions that try them.
        pub(super) const ROWS: &[(&str, &str)] =
            &[$( (stringify!($name), stringify!($body)) ),*];

        /// The functions that try them, in the same order.
        pub(super) fn operations<V: $trait>() -> Vec<fn(V, &mut Case)> {
            vec![$( |$v: V, $case: &mut Case| $body ),*]
        }
    };
}

use table;

/// Values to try an operation with, and what it gave.
struct Case {
    round: usize,
    random: u64,
    /// What is compared with the definition.
    found: Vec<u32>,
    /// How many numbers were compared or are to be.
    seen: usize,
}

impl Case {
    fn new(round: usize) -> Self {
        Self { round, random: round as u64, found: Vec::new(), seen: 0 }
    }

    fn bits(&mut self) -> u64 {
        // SplitMix64
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `low` to `high`: the least or the largest everywhere at first, then the edges
    /// and others mixed.
    fn number(&mut self, low: i64, high: i64) -> i64 {
        let any = self.bits();
        let edges = [low, low + 1, -1, 0, 1, high - 1, high];
        let edge = edges[(any >> 8) as usize % edges.len()].clamp(low, high);
        match self.round {
            0 => low,
            1 => high,
            _ if any.is_multiple_of(3) => edge,
            _ => low + (self.bits() % (high - low + 1) as u64) as i64,
        }
    }

    fn bytes<const N: usize>(&mut self, low: i64, high: i64) -> [u8; N] {
        std::array::from_fn(|_| self.number(low, high) as u8)
    }

    fn signed<const N: usize>(&mut self) -> [i8; N] {
        std::array::from_fn(|_| self.number(-128, 127) as i8)
    }

    fn words<const N: usize>(&mut self, most: i64) -> [i16; N] {
        std::array::from_fn(|_| self.number(-most, most) as i16)
    }

    fn ints<const N: usize>(&mut self, most: i64) -> [i32; N] {
        std::array::from_fn(|_| self.number(-most, most) as i32)
    }

    /// Any float: also infinite, not a number, too small to be normal.
    fn float(&mut self) -> f32 {
        const EDGES: &[f32] = &[
            0.0,
            -0.0,
            1.0,
            -1.0,
            f32::MIN_POSITIVE,
            f32::MAX,
            f32::MIN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
            1e-45,
            1.000_000_1,
        ];
        match self.number(0, 2 * EDGES.len() as i64) as usize {
            edge if edge < EDGES.len() => EDGES[edge],
            edge if edge % 2 == 0 => f32::from_bits(self.bits() as u32),
            _ => self.plain(),
        }
    }

    fn floats<const N: usize>(&mut self) -> [f32; N] {
        std::array::from_fn(|_| self.float())
    }

    /// A float that can be summed up without overflow.
    fn plain(&mut self) -> f32 {
        let exponent = self.number(-20, 20) as i32;
        (self.bits() as i32 as f32) * 2.0_f32.powi(exponent - 31)
    }

    fn plain_floats<const N: usize>(&mut self) -> [f32; N] {
        std::array::from_fn(|_| self.plain())
    }

    /// Note what the operation gave, to be compared with what the definition gives.
    fn note<T: Number, const N: usize>(&mut self, found: [T; N]) {
        self.found.extend(found.map(T::lane_bits));
        self.seen += N;
    }

    /// Compare what the operation gave with its definition.
    fn same<T: Number, const N: usize>(&mut self, found: [T; N], expected: [T; N]) {
        for (lane, (found, expected)) in found.into_iter().zip(expected).enumerate() {
            let is_same = found.lane_bits() == expected.lane_bits();
            assert!(is_same, "lane {lane}: {found:?} instead of {expected:?}");
        }
        self.seen += N;
    }

    /// Compare `sum + a * b`, which may be rounded once or twice.
    fn rounded<const N: usize>(
        &mut self,
        found: [f32; N],
        sum: [f32; N],
        a: [f32; N],
        b: [f32; N],
    ) {
        for lane in 0..N {
            let (sum, a, b) = (sum[lane], a[lane], b[lane]);
            let allowed = [a.mul_add(b, sum), sum + a * b];
            let is_allowed = allowed.map(Number::lane_bits).contains(&found[lane].lane_bits());
            assert!(is_allowed, "lane {lane}: {:?}, {sum} + {a} * {b} is {allowed:?}", found[lane]);
        }
        self.seen += N;
    }

    /// Compare a sum of `values` in any order.
    fn summed<const N: usize>(&mut self, mut values: [f32; N], sum: impl Fn([f32; N]) -> f32) {
        let exact: f64 = values.iter().map(|x| f64::from(*x)).sum();
        let all: f64 = values.iter().map(|x| f64::from(x.abs())).sum();
        let found = sum(values);
        let error = (f64::from(found) - exact).abs();
        assert!(error <= all * N as f64 * f64::from(f32::EPSILON), "{values:?}: {found}, {exact}");
        // each lane is part of it
        for lane in 0..N {
            let one = std::array::from_fn(|i| if i == lane { 1.5 } else { 0.0 });
            assert_eq!(sum(one).to_bits(), 1.5_f32.to_bits(), "lane {lane} alone");
        }
        values[self.round % N] = f32::INFINITY;
        assert_eq!(sum(values).to_bits(), f32::INFINITY.to_bits());
        values[(self.round + 1) % N] = f32::NEG_INFINITY;
        assert!(sum(values).is_nan());
        self.seen += N;
    }
}

/// A number in a lane.
trait Number: Copy + std::fmt::Debug + 'static {
    /// Its bits; those of all NaN are the same, as their payload is nobody's business.
    fn lane_bits(self) -> u32;
}

macro_rules! numbers {
    ($($ty:ty),*) => { $(
        impl Number for $ty {
            fn lane_bits(self) -> u32 {
                self as u32
            }
        }
    )* };
}

numbers!(u8, i8, i16, u32, i32);

impl Number for f32 {
    fn lane_bits(self) -> u32 {
        if self.is_nan() { f32::NAN.to_bits() } else { self.to_bits() }
    }
}

/// The lanes of a vector.
fn lanes<T: Number, const N: usize>(vector: impl Copy) -> [T; N] {
    assert_eq!(size_of_val(&vector), size_of::<[T; N]>());
    // SAFETY: the vectors of all instruction sets are nothing but numbers, and any bits are numbers
    // of type `T`; the sizes are the same.
    unsafe { std::mem::transmute_copy(&vector) }
}

/// The vector with these lanes.
fn vector<V: Copy, T: Number, const N: usize>(lanes: [T; N]) -> V {
    assert_eq!(size_of::<V>(), size_of::<[T; N]>());
    // SAFETY: as in `lanes`.
    unsafe { std::mem::transmute_copy(&lanes) }
}

/// One operation in one round.
#[derive(Clone, Copy)]
struct Try {
    operation: usize,
    round: usize,
}

impl Try {
    fn run<V>(self, v: V, operations: Vec<fn(V, &mut Case)>) -> Vec<u32> {
        let mut case = Case::new(self.round);
        operations[self.operation](v, &mut case);
        assert!(case.seen > 0, "nothing was compared");
        case.found
    }
}

struct OnSimd(Try);

impl WithSimd for OnSimd {
    type Output = Vec<u32>;

    fn run<V: Simd>(self, v: V) -> Vec<u32> {
        self.0.run(v, simd::operations::<V>())
    }
}

struct OnLanes<'a>(Try, &'a mut Vec<u32>);

impl WithLanes for OnLanes<'_> {
    fn run<V: Lanes>(self, v: V) {
        *self.1 = self.0.run(v, lanes::operations::<V>());
    }
}

/// Try all operations of a table; what is wrong, each operation once.
fn failures(
    isa: Isa,
    rows: &[(&str, &str)],
    run: impl Fn(Isa, Try) -> Vec<u32>,
    expected: impl Fn(Try) -> Vec<u32>,
) -> Vec<String> {
    let mut failures = Vec::new();
    for (operation, (name, _)) in rows.iter().enumerate() {
        let failure = (0..ROUNDS).find_map(|round| {
            let this = Try { operation, round };
            let tried = catch_unwind(AssertUnwindSafe(|| (run(isa, this), expected(this))));
            match tried {
                Ok((found, expected)) if found == expected => None,
                Ok((found, expected)) => {
                    let lane = found.iter().zip(&expected).position(|(a, b)| a != b);
                    Some(format!("{isa} {name}: round {round}, number {lane:?} is another"))
                }
                Err(_) => Some(format!("{isa} {name}: round {round} panicked")),
            }
        });
        failures.extend(failure);
    }
    failures
}

#[test]
fn every_operation_is_its_definition_on_every_instruction_set() {
    let mut all = Vec::new();
    for isa in Isa::available() {
        all.extend(failures(
            isa,
            simd::ROWS,
            |isa, this| isa.with_simd(OnSimd(this)),
            |this| Isa::SCALAR.with_simd(OnSimd(this)),
        ));
        if isa.has_lanes() {
            let run = |isa: Isa, this| {
                let mut found = Vec::new();
                isa.with_lanes(OnLanes(this, &mut found));
                found
            };
            // the definitions are in the table
            all.extend(failures(isa, lanes::ROWS, run, |_| Vec::new()));
        }
    }
    assert!(all.is_empty(), "{} operations:\n{}", all.len(), all.join("\n"));
}

/// The methods of a trait, from its text.
fn methods<'a>(source: &'a str, name: &str) -> BTreeSet<&'a str> {
    let start = source.find(&format!("trait {name}:")).expect("the trait");
    let body = &source[start..];
    let body = &body[..body.find("\n}\n").expect("the end of the trait")];
    let lines = body.lines().filter_map(|line| line.strip_prefix("    fn "));
    lines.map(|line| line.split(['(', '<']).next().expect("a name")).collect()
}

#[test]
fn every_method_has_its_row() {
    for (name, source, rows, least) in [
        ("Simd", include_str!("../simd.rs"), simd::ROWS, 70),
        ("Lanes", include_str!("../lanes.rs"), lanes::ROWS, 20),
    ] {
        let methods = methods(source, name);
        assert!(methods.len() >= least, "{name}: {methods:?}");
        let tested: BTreeSet<_> = rows.iter().map(|(name, _)| *name).collect();
        assert_eq!(tested, methods, "{name}: the rows are not the methods");
        assert_eq!(tested.len(), rows.len(), "{name}: two rows for a method");
        for (name, body) in rows {
            let body: String = body.split_whitespace().collect();
            let called = [format!(".{name}("), format!(".{name}::<")];
            assert!(
                called.iter().any(|call| body.contains(call)),
                "the row of {name} does not call it"
            );
        }
    }
}
