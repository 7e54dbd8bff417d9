//! The data of a tensor does not begin at a multiple of the alignment.
//!
//! **Why it is bad.** Readers that map the file read from addresses that the processor or a
//! library does not allow. The usual cause is a file laid out for another alignment than it
//! declares.
//!
//! **How to fix.** Write the file again, with the `general.alignment` that it is laid out for.

use super::{Check, note};

pub(super) const CHECK: Check = Check::Table(|view, out| {
    let alignment = u64::from(view.header.alignment());
    for (tensor, entry) in view.tensors() {
        if !tensor.offset.is_multiple_of(alignment) {
            let expected = format_args!("a multiple of {alignment}");
            out.tensor(tensor, entry, note(format_args!("offset {}", tensor.offset), expected));
        }
    }
});

#[cfg(test)]
mod tests {
    use crate::BlockType;
    use crate::check::testing::Forge;

    #[test]
    fn offsets() {
        let model = Forge::model().tensor("b", &[16], BlockType::F32);
        let report = model.clone().offset(33).report();
        assert_eq!(report.findings[0].rule.id, "O001");
        model.offset(32).gives(&[]);
    }
}
