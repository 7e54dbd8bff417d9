//! Non-temporal stores.

/// Fills `out`, which will not be read soon, in pieces of `PIECE` values with non-temporal stores:
/// its cache lines are not read first and do not displace others. `fill` writes every piece; the
/// last may be shorter.
///
/// Like any other write, this one is complete when the function returns, or when `fill` panics.
pub(crate) fn write_past_caches<const PIECE: usize>(
    out: &mut [f32],
    mut fill: impl FnMut(&mut [f32]),
) {
    let mut buffer = Buffer([0.0; PIECE]);
    let fence = Fence;
    for out in out.chunks_mut(PIECE) {
        let buffer = &mut buffer.0[..out.len()];
        fill(buffer);
        copy(buffer, out, &fence);
    }
}

/// Aligned to cache lines: stores that straddle two would take most of the time.
#[repr(align(64))]
struct Buffer<const PIECE: usize>([f32; PIECE]);

/// When dropped, orders all non-temporal stores of this thread before everything that follows.
struct Fence;

impl Drop for Fence {
    fn drop(&mut self) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: every x86-64 has the instruction.
        unsafe {
            std::arch::x86_64::_mm_sfence();
        }
    }
}

/// Copies with non-temporal stores. They are not ordered before the fence is dropped: until then
/// nobody may read `to`.
#[cfg(target_arch = "x86_64")]
fn copy(from: &[f32], to: &mut [f32], _: &Fence) {
    use std::arch::x86_64::{_mm_loadu_ps, _mm_stream_ps};

    assert_eq!(from.len(), to.len());
    let unaligned = to.as_ptr().align_offset(LINE * size_of::<f32>()).min(to.len());
    let (from_start, from) = from.split_at(unaligned);
    let (to_start, to) = to.split_at_mut(unaligned);
    to_start.copy_from_slice(from_start);
    let (lines, rest) = from.as_chunks::<LINE>();
    let (lines_to, rest_to) = to.as_chunks_mut::<LINE>();
    for (from, to) in lines.iter().zip(lines_to) {
        for (from, to) in from.as_chunks::<4>().0.iter().zip(to.as_chunks_mut::<4>().0) {
            // SAFETY: 16 bytes are read and written through references to 16 bytes each; `to` is a
            // multiple of 16 bytes past the start of a line. Every x86-64 has the instructions. The
            // only caller keeps its unique borrow of the memory until its fence is dropped, so that
            // nothing reads it before.
            unsafe { _mm_stream_ps(to.as_mut_ptr(), _mm_loadu_ps(from.as_ptr())) };
        }
    }
    rest_to.copy_from_slice(rest);
}

#[cfg(not(target_arch = "x86_64"))]
fn copy(from: &[f32], to: &mut [f32], _: &Fence) {
    to.copy_from_slice(from);
}

/// Floats of a cache line.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_written_wherever_it_lies() {
        let from: Vec<f32> = (0..200_u8).map(f32::from).collect();
        for start in 0..17 {
            for length in [0, 1, 15, 16, 40, 64, 65, 183] {
                let mut to = vec![-1.0; 200];
                let mut pieces = from[..length].chunks(64);
                write_past_caches::<64>(&mut to[start..start + length], |piece| {
                    piece.copy_from_slice(pieces.next().unwrap());
                });
                assert!(pieces.next().is_none());
                assert_eq!(to[start..start + length], from[..length]);
                assert!(to[..start].iter().chain(&to[start + length..]).all(|x| *x == -1.0));
            }
        }
    }
}
