//! The data of two tensors overlaps.
//!
//! **Why it is bad.** One tensor consists of bytes of the other: the weights are wrong, yet
//! nothing fails. A small file can describe many large tensors in this way.
//!
//! **How to fix.** Write the file again.

use super::{Check, note};
use crate::check::report::shortened;

pub(super) const CHECK: Check = Check::Table(|view, out| {
    let mut before = None;
    for placed in view.layout.iter().filter(|placed| placed.start < placed.end) {
        if let Some((name, end)) = before
            && placed.start < end
        {
            let found =
                format_args!("offset {}, before the end of {:?}", placed.start, shortened(name));
            let note = note(found, format_args!("at least {end}"));
            out.tensor(placed.tensor, placed.entry, note);
        }
        if before.is_none_or(|(_, end)| placed.end > end) {
            before = Some((&placed.tensor.name, placed.end));
        }
    }
});

#[cfg(test)]
mod tests {
    use crate::BlockType;
    use crate::check::testing::Forge;

    #[test]
    fn overlap() {
        let model = Forge::model().tensor("b", &[16], BlockType::F32);
        let report = model.clone().offset(0).report();
        assert!(report.findings.iter().any(|finding| finding.rule.id == "O002"));
        // the next tensor begins inside the second
        model.tensor("c", &[8], BlockType::F32).offset(64).gives(&["O002", "O007"]);
        Forge::model().tensor("b", &[8, 0], BlockType::F32).offset(0).gives(&["T008"]);
    }
}
