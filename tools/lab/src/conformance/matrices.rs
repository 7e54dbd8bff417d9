//! Random matrices of many distributions, and importance weights.

use fastrand::Rng;

/// Draws a row.
type Draw = fn(&mut Rng, &mut [f32]);

/// The distributions of weights: name, and what draws a row.
pub(super) const DISTRIBUTIONS: &[(&str, Draw)] = &[
    ("gaussian", |rng, row| {
        let scale = power_of_ten(rng, -3.0, 1.0);
        fill(row, || gaussian(rng) * scale);
    }),
    ("heavy tails", |rng, row| fill(row, || 0.02 * gaussian(rng) / gaussian(rng).abs().max(0.01))),
    ("uniform", |rng, row| fill(row, || 2.0 * rng.f32() - 1.0)),
    ("shifted", |rng, row| {
        let (shift, scale) = (gaussian(rng), power_of_ten(rng, -3.0, 0.0));
        fill(row, || shift + gaussian(rng) * scale);
    }),
    ("one sign", |rng, row| {
        let sign = if rng.bool() { 0.05 } else { -0.05 };
        fill(row, || sign * gaussian(rng).abs());
    }),
    ("outliers", |rng, row| {
        fill(row, || gaussian(rng) * if rng.u32(0..100) == 0 { 1.0 } else { 0.02 });
    }),
    ("scales spread by block", |rng, row| {
        for block in row.chunks_mut(16) {
            let scale = power_of_ten(rng, -5.0, 1.0);
            fill(block, || gaussian(rng) * scale);
        }
    }),
    ("zeros among", |rng, row| {
        let share = rng.f32();
        fill(row, || if rng.f32() < share { 0.0 } else { gaussian(rng) * 0.1 });
    }),
    ("zero blocks", |rng, row| {
        for block in row.chunks_mut(32) {
            let scale = if rng.bool() { 0.0 } else { 0.1 };
            fill(block, || gaussian(rng) * scale);
        }
    }),
    ("ties", |rng, row| {
        let step = power_of_ten(rng, -3.0, 1.0);
        let levels = rng.i32(1..20);
        fill(row, || rng.i32(-levels..=levels) as f32 * step);
    }),
    ("binary fractions", |rng, row| fill(row, || rng.i32(-64..=64) as f32 / 32.0)),
    ("constant", |rng, row| {
        let value = gaussian(rng);
        fill(row, || value);
    }),
    ("tiny", |rng, row| {
        let scale = power_of_ten(rng, -15.0, -5.0);
        fill(row, || gaussian(rng) * scale);
    }),
    ("large", |rng, row| {
        let scale = power_of_ten(rng, 1.0, 3.0);
        fill(row, || gaussian(rng) * scale);
    }),
    ("sixteen-bit", |rng, row| {
        fill(row, || f32::from_bits((gaussian(rng) * 0.03).to_bits() & 0xffff_0000));
    }),
];

/// One row in this many is of [`subnormal`] numbers: CPUs, and so the reference, compute with them
/// a hundred times slower than with others.
const SUBNORMAL_ROWS: u32 = 400;

/// Rows of `columns` values, each of a distribution of its own.
pub(super) fn matrix(rng: &mut Rng, rows: usize, columns: usize) -> Vec<f32> {
    let mut values = vec![0.0; rows * columns];
    for row in values.chunks_mut(columns) {
        if rng.u32(0..SUBNORMAL_ROWS) == 0 {
            subnormal(rng, row);
        } else {
            let (_, draw) = rng.choice(DISTRIBUTIONS).expect("there are distributions");
            draw(rng, row);
        }
    }
    values
}

/// Numbers below 2^-126.
fn subnormal(rng: &mut Rng, row: &mut [f32]) {
    fill(row, || f32::from_bits(rng.u32(0..1 << 23)) * if rng.bool() { 1.0 } else { -1.0 });
}

/// Importance weights: most spread over some powers of ten, some all alike, some with zeros.
pub(super) fn weights(rng: &mut Rng, columns: usize) -> Vec<f32> {
    let kind = rng.u32(0..4);
    let draw = |_| match kind {
        0 => 1.0,
        1 => gaussian(rng).powi(2) + 1e-4,
        2 => power_of_ten(rng, -6.0, 3.0),
        _ if rng.u32(0..16) == 0 => 0.0,
        _ => gaussian(rng).powi(2) + 1e-4,
    };
    (0..columns).map(draw).collect()
}

fn fill(row: &mut [f32], mut draw: impl FnMut() -> f32) {
    row.fill_with(&mut draw);
}

/// A number from the normal distribution (the method of Box and Muller).
pub(super) fn gaussian(rng: &mut Rng) -> f32 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    (radius * (std::f64::consts::TAU * rng.f64()).cos()) as f32
}

fn power_of_ten(rng: &mut Rng, from: f32, to: f32) -> f32 {
    10_f32.powf(from + (to - from) * rng.f32())
}
