//! libFuzzer around the bodies of `tools/fuzz-bodies`.

pub use granule_fuzz_bodies::memory::Counting;
pub use libfuzzer_sys::fuzz_target;

/// The program of a target.
#[macro_export]
macro_rules! fuzz {
    ($name:literal) => {
        #[global_allocator]
        static ALLOCATOR: $crate::Counting = $crate::Counting;

        $crate::fuzz_target!(|input: &[u8]| $crate::run($name, input));
    };
}

/// Run the target of this name.
pub fn run(name: &str, input: &[u8]) {
    let target = granule_fuzz_bodies::by_name(name).expect("a target of this name");
    granule_fuzz_bodies::warm_up(target);
    granule_fuzz_bodies::bounded(target, input);
}
