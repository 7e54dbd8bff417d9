//! Buffers that are used again: new pages of memory cost more than the numbers in them.

use std::cell::RefCell;

/// Buffers that a thread keeps at most, and numbers in each of them.
const MOST: usize = 8;
const LARGEST: usize = 1 << 26;

thread_local! {
    static KEPT: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of any numbers.
pub(super) fn take(length: usize) -> Vec<f32> {
    let mut buffer = KEPT.with_borrow_mut(|kept| {
        let fits = (0..kept.len()).filter(|i| kept[*i].capacity() >= length);
        let smallest = fits.min_by_key(|i| kept[*i].capacity());
        // in place of the largest that does not fit comes one that does
        let taken = smallest.or((0..kept.len()).max_by_key(|i| kept[*i].capacity()));
        taken.map(|index| kept.swap_remove(index)).unwrap_or_default()
    });
    if buffer.capacity() < length {
        drop(buffer);
        return vec![0.0; length];
    }
    buffer.resize(length, 0.0);
    buffer
}

/// Keeps a buffer for later.
pub(super) fn give(buffer: Vec<f32>) {
    if buffer.capacity() == 0 || buffer.capacity() > LARGEST {
        return;
    }
    KEPT.with_borrow_mut(|kept| {
        if kept.len() == MOST {
            kept.remove(0);
        }
        kept.push(buffer);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_have_the_length_that_is_asked_for() {
        for length in [100, 10, 1000, 50, 0] {
            let buffer = take(length);
            assert_eq!(buffer.len(), length);
            give(buffer);
        }
        assert!(take(900).capacity() >= 1000, "the largest was kept");
    }
}
