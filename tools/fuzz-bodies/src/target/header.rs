//! Reading a header: at once, from its beginning alone, and as far as it goes.

use granule_format::{ErrorKind, Header, HeaderParser, Limits};

pub(super) fn run(input: &[u8]) {
    let parsed = Header::parse(input);
    let survey = Header::survey(input, &Limits::DEFAULT);
    assert_eq!(
        parsed.is_ok(),
        survey.complete && survey.faults.is_empty(),
        "{parsed:?} {survey:?}"
    );
    if let Ok(header) = &parsed {
        assert_eq!(show(&survey.header), show(&Some(header)));
        assert!(header.table_end() <= input.len() as u64);
    }
    drop(survey);

    // what is read from a prefix is the same, or more bytes are wanted, but never more than there
    // are
    let mut length = input.len() / 3;
    let mut parser = HeaderParser::new(input.len() as u64, &Limits::DEFAULT);
    loop {
        let again = parser.parse(&input[parser.position() as usize..length]);
        match again {
            Err(error) if matches!(error.kind, ErrorKind::PrefixTooShort { .. }) => {
                let ErrorKind::PrefixTooShort { need } = error.kind else { return };
                assert!(need > length as u64 && need <= input.len() as u64, "{need} of {length}");
                length = need as usize;
            }
            again => return assert_eq!(show(&again), show(&parsed)),
        }
    }
}

/// To be compared as text: NaN is not equal to itself.
fn show(value: &dyn std::fmt::Debug) -> String {
    format!("{value:?}")
}
