//! The difference between two tensors, from sums over their values.

/// The difference between the values of two tensors, the second taken for an approximation of the
/// first.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Errors {
    /// The number of values that differ.
    pub differing: u64,
    /// The root mean square of the differences divided by that of the first tensor's values;
    /// infinite if these are all 0.
    pub relative: f64,
    /// The greatest difference between two values.
    pub greatest: f64,
    /// The row of that, counted over all dimensions but the first, and the column.
    pub greatest_at: (u64, u64),
    /// The cosine of the angle between the tensors as vectors; 1 for two zero vectors.
    pub cosine: f64,
    /// The number of values that differ and are not finite in one of the tensors; they count for
    /// nothing else.
    pub not_finite: u64,
}

/// Sums over values.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    /// Whether blocks of the same type differ.
    pub(super) bytes_differ: bool,
    differing: u64,
    not_finite: u64,
    squared_errors: f64,
    /// Of the values of the first tensor, of the second, and their products.
    squares: [f64; 2],
    products: f64,
    greatest: f64,
    greatest_at: (u64, u64),
}

impl Sums {
    /// Adds values of both tensors, row by row.
    pub(super) fn compare(&mut self, values: &[f32], others: &[f32], first_row: u64, columns: u64) {
        for (index, (value, other)) in values.iter().zip(others).enumerate() {
            if value.to_bits() == other.to_bits() {
                if value.is_finite() {
                    let square = f64::from(*value) * f64::from(*value);
                    self.squares = self.squares.map(|sum| sum + square);
                    self.products += square;
                }
                continue;
            }
            self.differing += u64::from(value != other);
            if !(value.is_finite() && other.is_finite()) {
                self.not_finite += 1;
                continue;
            }
            let [value, other] = [value, other].map(|value| f64::from(*value));
            let error = (value - other).abs();
            self.squared_errors += error * error;
            self.squares[0] += value * value;
            self.squares[1] += other * other;
            self.products += value * other;
            if error > self.greatest {
                let index = index as u64;
                self.greatest = error;
                self.greatest_at = (first_row + index / columns, index % columns);
            }
        }
    }

    /// Adds values that are the same in both.
    pub(super) fn add_same(&mut self, values: &[f32]) {
        let finite = values.iter().filter(|value| value.is_finite());
        let square: f64 = finite.map(|value| f64::from(*value) * f64::from(*value)).sum();
        self.squares = self.squares.map(|sum| sum + square);
        self.products += square;
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.bytes_differ |= other.bytes_differ;
        self.differing += other.differing;
        self.not_finite += other.not_finite;
        self.squared_errors += other.squared_errors;
        self.squares[0] += other.squares[0];
        self.squares[1] += other.squares[1];
        self.products += other.products;
        if other.greatest > self.greatest {
            (self.greatest, self.greatest_at) = (other.greatest, other.greatest_at);
        }
    }

    pub(super) fn errors(&self) -> Errors {
        let [first, second] = self.squares;
        let relative = match self.squared_errors {
            0.0 => 0.0,
            errors => (errors / first).sqrt(),
        };
        let cosine = match first == 0.0 && second == 0.0 {
            true => 1.0,
            false => self.products / (first.sqrt() * second.sqrt()),
        };
        Errors {
            differing: self.differing,
            relative,
            greatest: self.greatest,
            greatest_at: self.greatest_at,
            // a zero vector has no direction
            cosine: if cosine.is_nan() { 0.0 } else { cosine.min(1.0) },
            not_finite: self.not_finite,
        }
    }
}
