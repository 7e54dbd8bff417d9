//! Locates the values of a GGUF tensor in the checkpoint.

use std::ops::Range;

/// A dimension: its length, and its stride in values of the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Axis {
    pub(crate) count: u64,
    pub(crate) stride: u64,
}

/// A selection or reordering of the values of a checkpoint tensor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct View {
    offset: u64,
    /// Dimensions, outermost first. As few as possible, but at least one.
    axes: Vec<Axis>,
}

/// Consecutive values of the file with a constant stride in the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// Index of the first value in the file.
    pub(crate) value: u64,
    /// Index of the first value in the checkpoint.
    pub(crate) source: u64,
    /// Number of values.
    pub(crate) count: u64,
    /// Distance between neighbours in the checkpoint, in values.
    pub(crate) stride: u64,
}

/// Appends consecutive values of the checkpoint, given the first index and the count.
type Read<'r, E> = dyn FnMut(u64, u64, &mut Vec<u8>) -> Result<(), E> + 'r;

/// Values at most this far apart are read together with the values between them.
const NEAR: u64 = 16;

impl View {
    /// Returns a view of all `values` in their order.
    pub(crate) fn whole(values: u64) -> Self {
        Self { offset: 0, axes: vec![Axis { count: values, stride: 1 }] }
    }

    /// Returns a view with these dimensions, outermost first, that starts at value `offset`.
    pub(crate) fn new(offset: u64, axes: Vec<Axis>) -> Self {
        let mut joined: Vec<Axis> = Vec::new();
        for axis in axes.into_iter().filter(|axis| axis.count != 1) {
            match joined.last_mut() {
                Some(last) if last.stride == axis.count.saturating_mul(axis.stride) => {
                    *last = Axis { count: last.count * axis.count, ..axis };
                }
                _ => joined.push(axis),
            }
        }
        if joined.is_empty() {
            joined.push(Axis { count: 1, stride: 1 });
        }
        Self { offset, axes: joined }
    }

    /// Returns the same view of values that stand `values` later.
    pub(crate) fn moved_by(self, values: u64) -> Self {
        Self { offset: self.offset + values, ..self }
    }

    /// Converts the view from values to blocks of `values` each; `None` if it would split a block.
    pub(crate) fn in_blocks(mut self, values: u64) -> Option<Self> {
        if values == 1 {
            return Some(self);
        }
        let (last, outer) = self.axes.split_last_mut()?;
        let numbers = outer.iter_mut().map(|axis| &mut axis.stride);
        for number in numbers.chain([&mut last.count, &mut self.offset]) {
            if !number.is_multiple_of(values) {
                return None;
            }
            *number /= values;
        }
        (last.stride == 1).then_some(self)
    }

    /// Splits the view into `parts` consecutive views of equal size; `None` if the outermost
    /// dimension does not divide evenly.
    pub(crate) fn split(&self, parts: u64) -> Option<impl Iterator<Item = Self> + '_> {
        let (first, inner) = self.axes.split_first()?;
        let count = first.count.checked_div(parts).filter(|count| count * parts == first.count)?;
        let part = move |number| {
            let axes = [Axis { count, ..*first }].into_iter().chain(inner.iter().copied());
            Self::new(self.offset + number * count * first.stride, axes.collect())
        };
        Some((0..parts).map(part))
    }

    /// Returns the number of values.
    pub(crate) fn values(&self) -> u64 {
        self.axes.iter().map(|axis| axis.count).product()
    }

    /// Returns the position in the checkpoint of a value of the file.
    pub(crate) fn source(&self, value: u64) -> u64 {
        let mut rest = value;
        let mut source = self.offset;
        for axis in self.axes.iter().rev() {
            source += rest % axis.count * axis.stride;
            rest /= axis.count;
        }
        source
    }

    /// Returns whether no checkpoint value occurs twice, judged by whether the dimensions nest.
    pub(crate) fn is_injective(&self) -> bool {
        let mut axes = self.axes.clone();
        axes.sort_unstable_by_key(|axis| axis.stride);
        let mut extent = 0_u64;
        axes.iter().all(|axis| {
            let apart = axis.stride > extent;
            extent =
                extent.saturating_add(axis.count.saturating_sub(1).saturating_mul(axis.stride));
            apart
        })
    }

    /// Returns whether neighbours in the file are neighbours in the checkpoint.
    pub(crate) fn keeps_rows(&self) -> bool {
        self.axes.last().is_some_and(|axis| axis.stride == 1)
    }

    /// Inverts the view: visits all values whose source lies in `range` of the checkpoint, in runs
    /// and in file order.
    pub(crate) fn within<E>(
        &self,
        range: &Range<u64>,
        visit: &mut dyn FnMut(Run) -> Result<(), E>,
    ) -> Result<(), E> {
        self.visit(0, (self.offset, 0), range, visit)
    }

    fn visit<E>(
        &self,
        level: usize,
        (source, value): (u64, u64),
        range: &Range<u64>,
        visit: &mut dyn FnMut(Run) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some((axis, inner)) = self.axes[level..].split_first() else { return Ok(()) };
        let stride = axis.stride.max(1);
        let extent: u64 = inner.iter().map(|axis| (axis.count - 1) * axis.stride).sum();
        // Indices of this dimension that can reach the range.
        let first = range.start.saturating_sub(source + extent).div_ceil(stride);
        let end = range.end.saturating_sub(source).div_ceil(stride).min(axis.count);
        if first >= end {
            return Ok(());
        }
        if inner.is_empty() {
            let (value, source) = (value + first, source + first * axis.stride);
            return visit(Run { value, source, count: end - first, stride: axis.stride });
        }
        let values: u64 = inner.iter().map(|axis| axis.count).product();
        (first..end).try_for_each(|at| {
            let place = (source + at * axis.stride, value + at * values);
            self.visit(level + 1, place, range, visit)
        })
    }

    /// Appends the values from `start` up to `end` to `out`; each value has `size` bytes.
    pub(crate) fn gather<E>(
        &self,
        (start, end): (u64, u64),
        size: usize,
        read: &mut Read<'_, E>,
        out: &mut Vec<u8>,
    ) -> Result<(), E> {
        let (last, outer) = self.axes.split_last().expect("there is always one");
        let mut between = Vec::new();
        let mut value = start;
        while value < end {
            let first = self.source(value);
            let run = (last.count - value % last.count).min(end - value);
            if last.stride == 1 {
                read(first, run, out)?;
                value += run;
                continue;
            }
            // Read along the second-to-last dimension if its stride is smaller, as in a transposed
            // matrix.
            let line = outer.last().filter(|line| line.stride < last.stride);
            if let Some(line) = line.filter(|_| value.is_multiple_of(last.count)) {
                let left = line.count - value / last.count % line.count;
                let lines = left.min((end - value) / last.count);
                if lines > 0 {
                    let base = out.len();
                    out.resize(base + (lines * last.count) as usize * size, 0);
                    for column in 0..last.count {
                        between.clear();
                        spread(
                            first + column * last.stride,
                            lines,
                            line.stride,
                            size,
                            read,
                            &mut between,
                        )?;
                        for (row, bytes) in between.chunks_exact(size).enumerate() {
                            let to = base + (row * last.count as usize + column as usize) * size;
                            out[to..to + size].copy_from_slice(bytes);
                        }
                    }
                    value += lines * last.count;
                    continue;
                }
            }
            spread(first, run, last.stride, size, read, out)?;
            value += run;
        }
        Ok(())
    }
}

/// Appends `count` values, each `stride` after the previous one.
fn spread<E>(
    first: u64,
    count: u64,
    stride: u64,
    size: usize,
    read: &mut Read<'_, E>,
    out: &mut Vec<u8>,
) -> Result<(), E> {
    if stride == 1 {
        return read(first, count, out);
    }
    if stride > NEAR {
        return (0..count).try_for_each(|value| read(first + value * stride, 1, out));
    }
    let mut all = Vec::new();
    read(first, (count - 1) * stride + 1, &mut all)?;
    for value in all.chunks(size * stride as usize) {
        out.extend_from_slice(&value[..size]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Random dimensions in a random order, some with only a part of one dimension.
    fn views() -> impl Strategy<Value = (u64, View)> {
        let sizes = vec(1_u64..5, 1..5);
        (sizes, any::<[u8; 5]>(), 0_u64..3, 1_u64..3).prop_map(|(sizes, keys, cut, step)| {
            let all: u64 = sizes.iter().product();
            let mut stride = all;
            let mut axes: Vec<Axis> = sizes
                .iter()
                .map(|count| {
                    stride /= count;
                    Axis { count: *count, stride }
                })
                .collect();
            let which = usize::from(keys[4]) % axes.len();
            let axis = &mut axes[which];
            let start = cut.min(axis.count - 1);
            let offset = start * axis.stride;
            *axis = Axis { count: (axis.count - start).div_ceil(step), stride: axis.stride * step };
            let mut order: Vec<usize> = (0..axes.len()).collect();
            order.sort_by_key(|i| keys[*i]);
            (all, View::new(offset, order.into_iter().map(|i| axes[i]).collect()))
        })
    }

    proptest! {
        /// Inverting maps every value back to its source, however the checkpoint is divided into
        /// ranges.
        #[test]
        fn the_way_back_is_the_inverse((all, view) in views(), step in 1_u64..40) {
            prop_assert!(view.is_injective());
            let mut back = vec![None; all as usize];
            for start in (0..all).step_by(step as usize) {
                let range = start..all.min(start + step);
                let mut visit = |run: Run| {
                    assert!(run.count > 0);
                    for i in 0..run.count {
                        let place = run.source + i * run.stride;
                        assert!(range.contains(&place));
                        assert_eq!(back[place as usize].replace(run.value + i), None);
                    }
                    Ok::<_, Infallible>(())
                };
                view.within(&range, &mut visit).unwrap();
            }
            let mut expected = vec![None; all as usize];
            (0..view.values()).for_each(|i| expected[view.source(i) as usize] = Some(i));
            prop_assert_eq!(back, expected);
        }
    }

    #[test]
    fn a_value_taken_twice_is_seen() {
        let axis = |count, stride| Axis { count, stride };
        assert!(!View::new(0, vec![axis(3, 2), axis(4, 1)]).is_injective());
        assert!(!View::new(0, vec![axis(2, 0)]).is_injective());
        assert!(View::new(5, vec![axis(3, 1), axis(4, 3)]).is_injective());
    }

    #[test]
    fn any_range_of_values_is_gathered() {
        let axis = |count, stride| Axis { count, stride };
        let views = [
            View::whole(24),
            View::new(0, vec![axis(6, 1), axis(4, 6)]), // transposed
            View::new(1, vec![axis(2, 12), axis(3, 4), axis(2, 2)]), // every second
            View::new(0, vec![axis(2, 12), axis(4, 1), axis(3, 4)]), // transposed in blocks
            View::new(0, vec![axis(2, 1), axis(3, 4)]), // some columns
            View::new(3, vec![axis(1, 1), axis(1, 0)]),
            View::new(0, vec![axis(3, 2), axis(2, 40), axis(2, 20)]),
        ];
        for view in views {
            let values = view.values();
            for start in 0..values {
                for end in start..=values {
                    let mut out = Vec::new();
                    let mut read = |first: u64, count: u64, out: &mut Vec<u8>| {
                        for value in first..first + count {
                            out.extend_from_slice(&(value as u16).to_le_bytes());
                        }
                        Ok::<(), ()>(())
                    };
                    view.gather((start, end), 2, &mut read, &mut out).unwrap();
                    let found: Vec<_> = out
                        .as_chunks::<2>()
                        .0
                        .iter()
                        .map(|b| u64::from(u16::from_le_bytes(*b)))
                        .collect();
                    let expected: Vec<_> = (start..end).map(|value| view.source(value)).collect();
                    assert_eq!(found, expected, "{view:?} {start}..{end}");
                }
            }
        }
        let halves: Vec<_> = View::new(1, vec![axis(6, 1), axis(4, 6)]).split(2).unwrap().collect();
        let half = |offset| View::new(offset, vec![axis(3, 1), axis(4, 6)]);
        assert_eq!(halves, [half(1), half(4)]);
        assert!(View::whole(7).split(2).is_none());
        assert_eq!(View::new(0, vec![axis(2, 12), axis(3, 4), axis(4, 1)]), View::whole(24));
        let rows = View::new(64, vec![axis(3, 128), axis(64, 1)]);
        assert_eq!(rows.in_blocks(32), Some(View::new(2, vec![axis(3, 4), axis(2, 1)])));
        assert_eq!(View::new(0, vec![axis(32, 1), axis(32, 32)]).in_blocks(32), None);
        assert_eq!(View::new(0, vec![axis(4, 64), axis(16, 1)]).in_blocks(32), None);
    }
}
