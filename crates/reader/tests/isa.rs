//! The instruction set that a program asks for is the one that it gets, or an error.
//!
//! The variable is read once a process, so every value of it is tried in a process of its own: this
//! test, run again.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::Command;

use granule_reader::isa::{Isa, IsaError, VARIABLE};

const CHILD: &str = "GRANULE_TEST_ISA_OF_CHILD";

#[test]
fn names_are_parsed_in_any_case_and_others_are_errors() {
    let available: Vec<_> = Isa::available().into_iter().map(Isa::name).collect();
    assert_eq!(available[0], "scalar");
    for isa in Isa::available() {
        assert_eq!(isa.name().parse(), Ok(isa));
        assert_eq!(isa.name().to_uppercase().parse(), Ok(isa));
    }
    let error = "avx5l2".parse::<Isa>().unwrap_err();
    let expected = format!(
        "\"avx5l2\" is not an instruction set (these are scalar, neon, avx2, avx512); \
         this CPU has {}",
        available.join(", ")
    );
    assert_eq!(error.to_string(), expected);
    let foreign = if cfg!(target_arch = "aarch64") { "avx2" } else { "neon" };
    let expected = IsaError::Absent { name: foreign, available };
    assert_eq!(foreign.to_uppercase().parse::<Isa>(), Err(expected));
}

#[test]
fn detection_takes_what_the_variable_says_or_panics() {
    if let Some(expected) = std::env::var_os(CHILD) {
        assert_eq!(Isa::from_env().map(Isa::name).ok(), expected.to_str());
        assert_eq!(Isa::detect().name(), expected.to_str().unwrap());
        return;
    }
    let run = |value: Option<&str>, expected: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([
            "--exact",
            "detection_takes_what_the_variable_says_or_panics",
            "--nocapture",
        ]);
        command.env(CHILD, expected).env_remove(VARIABLE);
        if let Some(value) = value {
            command.env(VARIABLE, value);
        }
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    };
    let best = *Isa::available().last().unwrap();
    for isa in Isa::available() {
        let (is_so, text) = run(Some(isa.name()), isa.name());
        assert!(is_so, "{text}");
    }
    for value in [None, Some("")] {
        let (is_so, text) = run(value, best.name());
        assert!(is_so, "{text}");
    }
    // not the best one instead
    let (is_so, text) = run(Some("avx5l2"), best.name());
    assert!(!is_so, "{text}");
}

/// Not even where the caller does not ask for it by name.
#[test]
fn detection_panics_with_the_list() {
    if std::env::var_os(CHILD).is_some() {
        Isa::detect();
        return;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "detection_panics_with_the_list", "--nocapture"]);
    let output = command.env(CHILD, "").env(VARIABLE, "best").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{text}");
    assert!(
        text.contains("the variable GRANULE_ISA: \"best\" is not an instruction set"),
        "{text}"
    );
    assert!(text.contains("this CPU has scalar"), "{text}");
}
