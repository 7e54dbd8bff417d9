//! A search for values that are not finite, at the speed of memory.

use granule_reader::isa::Isa;

/// Values checked between two branches: enough to vectorize, few enough for the cache.
const CHUNK: usize = 1024;

/// Returns the index of the first NaN or infinity.
pub fn first_not_finite(isa: Isa, values: &[f32]) -> Option<usize> {
    let chunk = isa.run_up_to_32_bytes(
        #[inline(always)]
        || values.chunks(CHUNK).position(any_not_finite),
    )?;
    let start = chunk * CHUNK;
    values[start..].iter().position(|value| !value.is_finite()).map(|i| start + i)
}

/// Returns whether any value has all exponent bits set, as NaN and infinity do.
#[inline(always)]
fn any_not_finite(values: &[f32]) -> bool {
    values.iter().fold(false, |any, value| any | (value.to_bits() & 0x7f80_0000 == 0x7f80_0000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_first_one_wherever_it_is() {
        for isa in Isa::available() {
            for len in [0, 1, 7, 1023, 1024, 1025, 5000] {
                let mut values: Vec<f32> = (0..len).map(|i| i as f32 * -1e34).collect();
                values.iter_mut().step_by(3).for_each(|v| *v = f32::MAX);
                assert_eq!(first_not_finite(isa, &values), None, "{isa}, {len} values");
                for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    for at in [0, 1, 6, 1022, 1023, 1024, 4999].into_iter().filter(|at| *at < len) {
                        let mut values = values.clone();
                        values[at] = bad;
                        values[len - 1] = bad;
                        assert_eq!(first_not_finite(isa, &values), Some(at), "{isa}, {len} values");
                    }
                }
            }
        }
    }
}
