use super::{Pass, normalize};
use crate::Error;
use crate::graph::FeedForward;

impl Pass<'_> {
    pub(super) fn feed_forward(
        &mut self,
        part: &FeedForward,
        x: &[f32],
    ) -> Result<Vec<f32>, Error> {
        let up = self.linear(&part.up, x)?;
        let gate = part.gate.as_ref().map(|gate| self.linear(gate, x)).transpose()?;
        let mut hidden = match gate {
            Some(mut gate) => {
                part.activation.gate(&mut gate, &up);
                gate
            }
            None if part.joined => {
                let (mut gate, up) = halves(&up, part.up.weight.rows / 2);
                part.activation.gate(&mut gate, &up);
                gate
            }
            None => {
                let mut hidden = up;
                part.activation.apply(&mut hidden);
                hidden
            }
        };
        if let Some(norm) = &part.norm {
            normalize(self.weights, norm, &mut hidden);
        }
        self.linear(&part.down, &hidden)
    }
}

/// The first and second halves of vectors of twice `length` values.
pub(super) fn halves(x: &[f32], length: usize) -> (Vec<f32>, Vec<f32>) {
    let both = x.chunks_exact(2 * length);
    let first = both.clone().flat_map(|x| &x[..length]).copied().collect();
    (first, both.flat_map(|x| &x[length..]).copied().collect())
}
