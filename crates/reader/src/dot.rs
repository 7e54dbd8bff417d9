//! Dot products of rows for one instruction set, for programs that keep the bytes of rows themselves. With tensors of a
//! [`Model`](crate::Model), use [`Tensor::matvec`](crate::Tensor::matvec).

pub use crate::kernel::dot_rows;
