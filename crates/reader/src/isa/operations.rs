//! The macro that instruction sets define their operations with.

/// Defines operations of [`Simd`](super::simd::Simd) by expressions of intrinsics.
macro_rules! operations {
    ($( fn $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)? { $($body:tt)* } )*) => { $(
        #[inline(always)]
        fn $name(self, $($argument: $type),*) $(-> $result)? {
            // SAFETY: the CPU has the instructions, of which `self` is proof. Memory is touched only through
            // references to arrays of the size that is read or written.
            unsafe { $($body)* }
        }
    )* };
}

pub(super) use operations;
