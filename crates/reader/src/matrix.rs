use crate::{Activations, Error, PackedMatrix, Tensor};

/// A matrix of weights that vectors can be multiplied with: a [`Tensor`], whose rows are read when
/// they are needed, or a [`PackedMatrix`], which is in memory.
///
/// Programs that do not care which of the two they have take `&dyn Matrix`. With activations from
/// [`prepare`](Self::prepare), several matrices of one type share the work of quantizing a vector.
///
/// ```
/// use granule_reader::{Error, Matrix};
///
/// /// A layer: two matrices that the same vector is multiplied with.
/// fn gate_and_up(gate: &dyn Matrix, up: &dyn Matrix, x: &[f32]) -> Result<Vec<f32>, Error> {
///     let x = gate.prepare(x)?;
///     let (mut a, mut b) = (vec![0.0; gate.rows()], vec![0.0; up.rows()]);
///     gate.matvec_with(&x, &mut a)?;
///     up.matvec_with(&x, &mut b)?;
///     Ok(a.iter().zip(b).map(|(a, b)| a * b).collect())
/// }
/// ```
pub trait Matrix: Send + Sync {
    /// The name of the tensor.
    fn name(&self) -> &str;

    /// Number of rows: values of a result.
    fn rows(&self) -> usize;

    /// Values in a row: values of a vector that is multiplied with the matrix.
    fn row_values(&self) -> usize;

    /// Prepares the vectors in `x`, one after another, in the form that the weights need.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the type of the weights is unknown.
    ///
    /// # Panics
    /// If `x` is not whole vectors.
    fn prepare(&self, x: &[f32]) -> Result<Activations, Error>;

    /// Multiplies with one vector: `y[row]` is the dot product of a row with `x`.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare), and [`Error::Io`] if the rows cannot be read.
    ///
    /// # Panics
    /// If `x` does not have [`row_values`](Self::row_values) values or `y` not
    /// [`rows`](Self::rows).
    fn matvec(&self, x: &[f32], y: &mut [f32]) -> Result<(), Error>;

    /// As [`matvec`](Self::matvec), with a vector that is already prepared.
    ///
    /// # Errors
    /// As [`matvec`](Self::matvec).
    ///
    /// # Panics
    /// As [`matvec`](Self::matvec); if there is not exactly one vector, or it is in another
    /// [form](Activations::form) than the weights need.
    fn matvec_with(&self, activations: &Activations, y: &mut [f32]) -> Result<(), Error>;

    /// Multiplies with a batch of vectors, one after another in `x`: `y[vector * rows + row]` is
    /// the dot product of a row with a vector.
    ///
    /// # Errors
    /// As [`matvec`](Self::matvec).
    ///
    /// # Panics
    /// If `x` is not whole vectors, or `y` does not have [`rows`](Self::rows) values for each.
    fn matmul(&self, x: &[f32], y: &mut [f32]) -> Result<(), Error>;

    /// As [`matmul`](Self::matmul), with vectors that are already prepared.
    ///
    /// # Errors
    /// As [`matvec`](Self::matvec).
    ///
    /// # Panics
    /// If the vectors or `y` do not have the lengths that the shape asks for, or the activations
    /// are in another [form](Activations::form) than the weights need.
    fn matmul_with(&self, activations: &Activations, y: &mut [f32]) -> Result<(), Error>;
}

impl Matrix for Tensor<'_> {
    fn name(&self) -> &str {
        Tensor::name(*self)
    }

    fn rows(&self) -> usize {
        Tensor::rows(*self)
    }

    fn row_values(&self) -> usize {
        Tensor::row_values(*self)
    }

    fn prepare(&self, x: &[f32]) -> Result<Activations, Error> {
        Tensor::prepare(*self, x)
    }

    fn matvec(&self, x: &[f32], y: &mut [f32]) -> Result<(), Error> {
        Tensor::matvec(*self, x, y)
    }

    fn matvec_with(&self, activations: &Activations, y: &mut [f32]) -> Result<(), Error> {
        Tensor::matvec_with(*self, activations, y)
    }

    fn matmul(&self, x: &[f32], y: &mut [f32]) -> Result<(), Error> {
        Tensor::matmul(*self, x, y)
    }

    fn matmul_with(&self, activations: &Activations, y: &mut [f32]) -> Result<(), Error> {
        Tensor::matmul_with(*self, activations, y)
    }
}

/// Never an error: the weights are in memory. The methods of the type itself return no `Result`.
impl Matrix for PackedMatrix {
    fn name(&self) -> &str {
        self.name()
    }

    fn rows(&self) -> usize {
        self.rows()
    }

    fn row_values(&self) -> usize {
        self.row_values()
    }

    fn prepare(&self, x: &[f32]) -> Result<Activations, Error> {
        Ok(self.prepare(x))
    }

    fn matvec(&self, x: &[f32], y: &mut [f32]) -> Result<(), Error> {
        self.matvec(x, y);
        Ok(())
    }

    fn matvec_with(&self, activations: &Activations, y: &mut [f32]) -> Result<(), Error> {
        self.matvec_with(activations, y);
        Ok(())
    }

    fn matmul(&self, x: &[f32], y: &mut [f32]) -> Result<(), Error> {
        self.matmul(x, y);
        Ok(())
    }

    fn matmul_with(&self, activations: &Activations, y: &mut [f32]) -> Result<(), Error> {
        self.matmul_with(activations, y);
        Ok(())
    }
}
