//! The macro with which instruction sets define their operations.

/// Defines operations of [`Simd`](super::simd::Simd) by expressions of intrinsics.
macro_rules! operations {
    ($(
        fn $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)? { $($body:tt)* }
    )*) => { $(
        #[inline(always)]
        fn $name(self, $($argument: $type),*) $(-> $result)? {
            // SAFETY: `self` is proof that the CPU has the instructions. Memory is only touched
            // through references to arrays of the size that is read or written.
            unsafe { $($body)* }
        }
    )* };
}

pub(super) use operations;
