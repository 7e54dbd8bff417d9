//! Tensors of the source by their places, with the shapes that the graph asked for.

use std::collections::{BTreeMap, HashMap};

use granule_reader::format::TensorType;
use granule_reader::{Source, SourceTensor};

use crate::Error;

/// A tensor: `matrices` matrices of `rows` rows of `columns` values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TensorRef {
    pub(crate) index: usize,
    pub(crate) columns: usize,
    pub(crate) rows: usize,
    pub(crate) matrices: usize,
}

/// A product with a matrix, and what is done to its results.
#[derive(Clone, Debug)]
pub(crate) struct Linear {
    pub(crate) weight: TensorRef,
    pub(crate) bias: Option<TensorRef>,
    /// A factor for all results, or one for each matrix.
    pub(crate) scale: Option<TensorRef>,
}

/// A normalization of vectors, or of equal parts of them.
#[derive(Clone, Debug)]
pub(crate) struct Norm {
    pub(crate) kind: NormKind,
    /// Values that are normalized together.
    pub(crate) length: usize,
    pub(crate) weight: Option<TensorRef>,
    pub(crate) bias: Option<TensorRef>,
    pub(crate) epsilon: f32,
}

/// What a [`Norm`] brings to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NormKind {
    /// The root mean square.
    Rms,
    /// The variance, after the mean is subtracted.
    Layer,
}

/// What a part does with a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// It multiplies with its matrices.
    Products,
    /// It looks at its values.
    Values,
}

/// Finds tensors, checks their shapes, and notes which ones a layer needs.
pub(crate) struct Tensors<'s> {
    tensors: &'s [SourceTensor],
    by_name: HashMap<&'s str, usize>,
    architecture: &'static str,
    used: BTreeMap<usize, Use>,
}

impl<'s> Tensors<'s> {
    pub(crate) fn new(source: &'s dyn Source, architecture: &'static str) -> Self {
        let tensors = source.tensors();
        let by_name = tensors.iter().zip(0..).map(|(tensor, i)| (tensor.name.as_str(), i));
        Self { tensors, by_name: by_name.collect(), architecture, used: BTreeMap::new() }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// The tensors that were asked for since the last call.
    pub(crate) fn take_used(&mut self) -> Vec<(usize, Use)> {
        std::mem::take(&mut self.used).into_iter().collect()
    }

    /// The shape of a tensor: values of a row, rows, matrices.
    pub(crate) fn shape(&self, name: &str) -> Option<[usize; 3]> {
        let tensor = &self.tensors[*self.by_name.get(name)?];
        let mut shape = [1_usize; 3];
        for (i, length) in tensor.shape.dimensions().iter().enumerate() {
            let place = &mut shape[i.min(2)];
            *place = place.saturating_mul(usize::try_from(*length).unwrap_or(usize::MAX));
        }
        Some(shape)
    }

    /// A tensor that may be missing, of any shape.
    pub(crate) fn any(&mut self, name: &str) -> Result<Option<TensorRef>, Error> {
        let (Some(index), Some([columns, rows, matrices])) =
            (self.by_name.get(name).copied(), self.shape(name))
        else {
            return Ok(None);
        };
        if let TensorType::Unknown(id) = self.tensors[index].ty {
            return Err(Error::Type { name: name.to_owned(), id });
        }
        if columns == 0 || rows == 0 || matrices == 0 {
            return Err(Error::Shape {
                name: name.to_owned(),
                found: self.tensors[index].shape.to_string(),
                expected: "no dimension of 0".to_owned(),
            });
        }
        self.used.entry(index).or_insert(Use::Values);
        Ok(Some(TensorRef { index, columns, rows, matrices }))
    }

    /// A tensor that may be missing, of `columns` values a row, `rows` rows and `matrices`
    /// matrices.
    pub(crate) fn find(
        &mut self,
        name: &str,
        shape: [usize; 3],
    ) -> Result<Option<TensorRef>, Error> {
        let Some(found) = self.any(name)? else { return Ok(None) };
        let [columns, rows, matrices] = shape;
        if [found.columns, found.rows, found.matrices] == shape {
            return Ok(Some(found));
        }
        // dimensions of length one may stand anywhere
        let all = |shape: [usize; 3]| shape.into_iter().filter(|length| *length != 1);
        if all([found.columns, found.rows, found.matrices]).eq(all(shape)) {
            return Ok(Some(TensorRef { index: found.index, columns, rows, matrices }));
        }
        let expected = shape.map(|length| length.to_string());
        let expected = if matrices == 1 { &expected[..2] } else { &expected[..] };
        Err(Error::Shape {
            name: name.to_owned(),
            found: self.tensors[found.index].shape.to_string(),
            expected: expected.join(" x "),
        })
    }

    /// A tensor that must be there.
    pub(crate) fn need(&mut self, name: &str, shape: [usize; 3]) -> Result<TensorRef, Error> {
        self.find(name, shape)?.ok_or_else(|| self.missing(name))
    }

    pub(crate) fn missing(&self, name: &str) -> Error {
        Error::MissingTensor { name: name.to_owned(), architecture: self.architecture.to_owned() }
    }

    /// A vector of `length` values that may be missing.
    pub(crate) fn vector(&mut self, name: &str, length: usize) -> Result<Option<TensorRef>, Error> {
        self.find(name, [length, 1, 1])
    }

    /// `NAME.weight` with `NAME.bias` and `NAME.scale`, which may be missing.
    pub(crate) fn linear(
        &mut self,
        name: &str,
        columns: usize,
        rows: usize,
    ) -> Result<Linear, Error> {
        self.linears(name, columns, rows, 1)
    }

    /// The same with a matrix for each expert.
    pub(crate) fn linears(
        &mut self,
        name: &str,
        columns: usize,
        rows: usize,
        matrices: usize,
    ) -> Result<Linear, Error> {
        let weight = self.need(&format!("{name}.weight"), [columns, rows, matrices])?;
        self.used.insert(weight.index, Use::Products);
        let bias = self.find(&format!("{name}.bias"), [rows, matrices, 1])?;
        let scale = format!("{name}.scale");
        let factors = self.shape(&scale).map_or(1, |shape| shape[0]);
        let scale = self.vector(&scale, if factors == 1 { 1 } else { matrices })?;
        Ok(Linear { weight, bias, scale })
    }

    /// The same, or `None` without the weight.
    pub(crate) fn find_linear(
        &mut self,
        name: &str,
        columns: usize,
        rows: usize,
    ) -> Result<Option<Linear>, Error> {
        if !self.has(&format!("{name}.weight")) {
            return Ok(None);
        }
        self.linear(name, columns, rows).map(Some)
    }
}
