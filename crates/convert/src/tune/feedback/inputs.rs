use std::collections::HashMap;

use granule_encode::{Feedback, First};
use granule_format::BlockType;
use granule_infer::statistics::Moments;
use granule_infer::statistics::moments::fingerprint;

/// The moments of the inputs that were seen last. Several matrices have the same inputs: queries,
/// keys and values, or gate and up.
#[derive(Default)]
pub(super) struct Inputs {
    last: Option<Seen>,
}

struct Seen {
    print: [u64; 3],
    moments: Moments,
    means: Option<Vec<f32>>,
    /// For each order in which columns may be fixed.
    feedback: HashMap<First, Feedback>,
}

impl Inputs {
    /// Sums the moments of input rows, unless they are those of the last call.
    pub(super) fn see(&mut self, x: &[f32], columns: usize, width: usize) {
        let print = [columns as u64, x.len() as u64, fingerprint(x)];
        if self.last.as_ref().is_some_and(|seen| seen.print == print) {
            return;
        }
        let mut moments = Moments::new(columns, width);
        moments.add(x);
        let moments = moments.rounded(); // as they would be saved
        self.last = Some(Seen { print, moments, means: None, feedback: HashMap::new() });
    }

    /// Returns the moments of what was seen last.
    pub(super) fn moments(&self) -> &Moments {
        &self.last.as_ref().expect("inputs were seen").moments
    }

    /// Returns the feedback of what was seen last.
    pub(super) fn feedback(
        &mut self,
        columns: usize,
        width: usize,
        damping: f64,
        ty: BlockType,
    ) -> &Feedback {
        let seen = self.last.as_mut().expect("inputs were seen");
        let means = seen.means.get_or_insert_with(|| seen.moments.means());
        let feedback = seen.feedback.entry(Feedback::order(ty));
        feedback.or_insert_with(|| Feedback::new(columns, width, means, damping, ty))
    }
}
