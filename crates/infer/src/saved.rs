//! Numbers, text and chunks that were left, as bytes: for journals and for results of parts.

use crate::Place;
use crate::statistics::Lost;

pub(crate) fn number(out: &mut Vec<u8>, number: usize) {
    out.extend((number as u64).to_le_bytes());
}

pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    number(out, text.len());
    out.extend(text.as_bytes());
}

pub(crate) fn lost(out: &mut Vec<u8>, all: &[Lost]) {
    number(out, all.len());
    for lost in all {
        number(out, lost.place.chunk);
        number(out, lost.place.position);
        number(out, lost.layer.unwrap_or(usize::MAX));
        out.push(u8::from(lost.tensor.is_some()));
        text(out, lost.tensor.as_deref().unwrap_or_default());
        number(out, lost.column);
        out.extend(lost.value.to_bits().to_le_bytes());
    }
}

/// The bytes that are left. What they cannot be is `None`.
pub(crate) struct Rest<'a>(pub(crate) &'a [u8]);

impl<'a> Rest<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn number(&mut self) -> Option<usize> {
        usize::try_from(u64::from_le_bytes(self.take(8)?.try_into().ok()?)).ok()
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        let length = self.number()?;
        String::from_utf8(self.take(length)?.to_vec()).ok()
    }

    pub(crate) fn numbers<T>(&mut self, count: usize, of: fn([u8; 8]) -> T) -> Option<Vec<T>> {
        let bytes = self.take(count.checked_mul(8)?)?;
        Some(bytes.as_chunks().0.iter().map(|bytes| of(*bytes)).collect())
    }

    pub(crate) fn lost(&mut self) -> Option<Vec<Lost>> {
        let mut all = Vec::new();
        for _ in 0..self.number()? {
            let place = Place { chunk: self.number()?, position: self.number()? };
            let layer = Some(self.number()?).filter(|layer| *layer != usize::MAX);
            let has_tensor = self.take(1)? == [1];
            let tensor = Some(self.text()?).filter(|_| has_tensor);
            let column = self.number()?;
            let value = f32::from_bits(u32::from_le_bytes(self.take(4)?.try_into().ok()?));
            all.push(Lost { place, layer, tensor, column, value });
        }
        Some(all)
    }
}
