//! Writing past the caches.

/// Copies to memory that will not be read soon: its lines are not read first, and do not displace others in the caches.
///
/// What was written is ordered before what follows when this is dropped.
#[derive(Debug)]
pub(crate) struct Stream(());

impl Stream {
    pub(crate) fn new() -> Self {
        Self(())
    }

    /// # Panics
    /// If the lengths differ.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn copy(&mut self, from: &[f32], to: &mut [f32]) {
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
                // SAFETY: 16 bytes are read and written through references to as many; `to` is at a multiple of 16 bytes
                // behind the start of a line. Every x86-64 has the instructions.
                unsafe { _mm_stream_ps(to.as_mut_ptr(), _mm_loadu_ps(from.as_ptr())) };
            }
        }
        rest_to.copy_from_slice(rest);
    }

    /// # Panics
    /// If the lengths differ.
    #[cfg(not(target_arch = "x86_64"))]
    pub(crate) fn copy(&mut self, from: &[f32], to: &mut [f32]) {
        to.copy_from_slice(from);
    }
}

/// Floats of a line of the cache.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 16;

#[cfg(target_arch = "x86_64")]
impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: every x86-64 has the instruction.
        unsafe { std::arch::x86_64::_mm_sfence() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_copied_wherever_it_lies() {
        let from: Vec<f32> = (0..200_u8).map(f32::from).collect();
        for start in 0..17 {
            for length in [0, 1, 15, 16, 40, 183] {
                let mut to = vec![-1.0; 200];
                let mut stream = Stream::new();
                stream.copy(&from[..length], &mut to[start..start + length]);
                drop(stream);
                assert_eq!(to[start..start + length], from[..length]);
                assert!(to[..start].iter().chain(&to[start + length..]).all(|x| *x == -1.0));
            }
        }
    }
}
