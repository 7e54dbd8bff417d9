//! Importance matrices in both of their forms.

use granule_encode::Importance;

pub(super) fn run(input: &[u8]) {
    let Ok(importance) = Importance::parse(input, "matrix") else { return };
    assert!(importance.names().len() > 0);
    for name in importance.names() {
        let weights = importance.get(name).expect("it has the name");
        assert!(weights.iter().all(|weight| weight.is_finite()), "{name:?}");
    }
}
