//! Tables of positions as sines and cosines.

use crate::exponential;

/// Larger tables are not made.
const MOST_VALUES: u64 = 1 << 22;

/// The table of Whisper: in each row, which stands for a position, the sines of the position times
/// falling frequencies, then the cosines. The frequencies fall from 1 to 1/10000. `None` if there
/// are fewer than four channels, an odd number of them, or too many values.
///
/// Single precision, in the order of the steps of the models' own code: the exponential function
/// is torch's; sine and cosine are correctly rounded. Torch's own differ from them, and between
/// processors, by one unit in the last place for one value in twenty.
pub(super) fn sinusoids(positions: u64, channels: u64) -> Option<Vec<f32>> {
    let fits = positions.checked_mul(channels).is_some_and(|values| values <= MOST_VALUES);
    if channels < 4 || !channels.is_multiple_of(2) || !fits {
        return None;
    }
    let half = channels / 2;
    let step = -(10_000_f64.ln() / (half - 1) as f64) as f32;
    let frequencies: Vec<f32> =
        (0..half).map(|channel| exponential::exp(step * channel as f32)).collect();
    let row = |position: u64| {
        let angles = frequencies.iter().map(move |it| f64::from(position as f32 * it));
        let sines = angles.clone().map(|angle| angle.sin() as f32);
        sines.chain(angles.map(|angle| angle.cos() as f32))
    };
    Some((0..positions).flat_map(row).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sines_and_cosines_of_falling_frequencies() {
        let table = sinusoids(3, 6).unwrap();
        assert_eq!(table[..6], [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
        for (position, row) in table.chunks(6).enumerate() {
            for (channel, frequency) in [1.0, 0.01, 0.0001].into_iter().enumerate() {
                let angle = position as f64 * frequency;
                assert!((f64::from(row[channel]) - angle.sin()).abs() < 1e-6);
                assert!((f64::from(row[3 + channel]) - angle.cos()).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn odd_sizes_are_refused() {
        for (positions, channels) in [(3, 2), (3, 5), (1 << 20, 8), (u64::MAX, u64::MAX)] {
            assert_eq!(sinusoids(positions, channels), None);
        }
        assert_eq!(sinusoids(0, 8), Some(Vec::new()));
    }
}
