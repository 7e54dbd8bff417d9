//! Work that is shared among the threads of rayon, or done by the calling thread alone where the
//! feature `rayon` is off. Results are the same.

#[cfg(feature = "rayon")]
use rayon::prelude::*;

/// Calls `work` with the number of each `chunk` values of `out` and with these values.
#[cfg(feature = "rayon")]
pub(crate) fn each_chunk<T: Send, E: Send>(
    out: &mut [T],
    chunk: usize,
    work: impl Fn(usize, &mut [T]) -> Result<(), E> + Sync,
) -> Result<(), E> {
    if rayon::current_num_threads() == 1 {
        return each_chunk_alone(out, chunk, work);
    }
    out.par_chunks_mut(chunk).enumerate().try_for_each(|(i, out)| work(i, out))
}

#[cfg(not(feature = "rayon"))]
pub(crate) use each_chunk_alone as each_chunk;

/// Does what [`each_chunk`] does on the calling thread.
pub(crate) fn each_chunk_alone<T, E>(
    out: &mut [T],
    chunk: usize,
    work: impl Fn(usize, &mut [T]) -> Result<(), E>,
) -> Result<(), E> {
    out.chunks_mut(chunk).enumerate().try_for_each(|(i, out)| work(i, out))
}

/// The results of `work` for 0 up to `count`, in this order.
#[cfg(feature = "rayon")]
pub(crate) fn collect<T: Send, E: Send>(
    count: usize,
    work: impl Fn(usize) -> Result<T, E> + Send + Sync,
) -> Result<Vec<T>, E> {
    (0..count).into_par_iter().map(work).collect()
}

/// The results of `work` for 0 up to `count`, in this order.
#[cfg(not(feature = "rayon"))]
pub(crate) fn collect<T, E>(
    count: usize,
    work: impl Fn(usize) -> Result<T, E>,
) -> Result<Vec<T>, E> {
    (0..count).map(work).collect()
}

/// Calls `work` with each of `tasks`.
#[cfg(feature = "rayon")]
pub(crate) fn each<T: Send>(tasks: Vec<T>, work: impl Fn(T) + Send + Sync) {
    if tasks.len() < 2 || rayon::current_num_threads() == 1 {
        return tasks.into_iter().for_each(work);
    }
    tasks.into_par_iter().for_each(work);
}

/// Calls `work` with each of `tasks`.
#[cfg(not(feature = "rayon"))]
pub(crate) fn each<T>(tasks: Vec<T>, work: impl Fn(T)) {
    tasks.into_iter().for_each(work);
}
