//! The features of each instruction set: the one list by which they are detected and code is
//! compiled for them.

/// Passes the features of an instruction set, then those in brackets, to another macro, before the
/// rest.
macro_rules! with_features {
    (avx512_full $then:ident [$($more:tt)*] $($rest:tt)*) => {
        with_features! { avx512 $then ["avx512vnni" "avx512vbmi" "gfni" $($more)*] $($rest)* }
    };
    (avx512 $then:ident [$($more:tt)*] $($rest:tt)*) => {
        with_features! {
            avx2 $then ["avx512f" "avx512bw" "avx512dq" "avx512vl" $($more)*] $($rest)*
        }
    };
    (avx2 $then:ident [$($more:tt)*] $($rest:tt)*) => {
        $then! { ["avx2" "fma" "f16c" "bmi1" "bmi2" "lzcnt" "popcnt" $($more)*] $($rest)* }
    };
    (neon $then:ident [$($more:tt)*] $($rest:tt)*) => {
        $then! { ["neon" $($more)*] $($rest)* }
    };
}

/// Whether the CPU has all features of an instruction set.
macro_rules! is_detected {
    ($set:ident) => {
        with_features! { $set all_detected [] }
    };
}

/// Compiles a function for all features of an instruction set.
macro_rules! compiled_for {
    ($set:ident: $($function:tt)*) => {
        with_features! { $set compiled [] $($function)* }
    };
}

#[cfg(target_arch = "x86_64")]
macro_rules! all_detected {
    ([$($feature:tt)*]) => { true $( && std::arch::is_x86_feature_detected!($feature) )* };
}

#[cfg(target_arch = "aarch64")]
macro_rules! all_detected {
    ([$($feature:tt)*]) => { true $( && std::arch::is_aarch64_feature_detected!($feature) )* };
}

macro_rules! compiled {
    ([$($feature:tt)*] $($function:tt)*) => {
        #[target_feature($(enable = $feature),*)]
        $($function)*
    };
}

#[cfg(test)]
mod tests {
    macro_rules! names {
        ([$($feature:tt)*]) => { &[$($feature),*] };
    }

    /// Every feature that some function is compiled for is in the list, and so detected.
    #[test]
    fn nothing_is_compiled_for_a_feature_that_nobody_detects() {
        const X86: &[&str] = with_features! { avx512_full names [] };
        const NEON: &[&str] = with_features! { neon names [] };
        let files = [
            (include_str!("mod.rs"), X86),
            (include_str!("avx2.rs"), X86),
            (include_str!("avx2_lanes.rs"), X86),
            (include_str!("avx512.rs"), X86),
            (include_str!("x86.rs"), X86),
            (include_str!("stream.rs"), X86),
            (include_str!("neon.rs"), NEON),
        ];
        let mut seen = 0;
        for (source, listed) in files {
            for rest in source.split("enable = \"").skip(1) {
                let features = rest.split('"').next().unwrap();
                for feature in features.split(',') {
                    assert!(listed.contains(&feature), "{feature} is not in the list");
                    seen += 1;
                }
            }
        }
        assert!(seen >= 10, "{seen} features were seen");
    }
}
