use super::{Inputs, Pass, buffers, normalize};
use crate::Error;
use crate::graph::{Activation, FeedForward};

impl Pass<'_> {
    pub(super) fn feed_forward(
        &mut self,
        part: &FeedForward,
        x: &[f32],
    ) -> Result<Vec<f32>, Error> {
        let x = &mut Inputs::new(x);
        let up = self.linear_with(&part.up, x)?;
        let gate = part.gate.as_ref().map(|gate| self.linear_with(gate, x)).transpose()?;
        let half = part.joined.then_some(part.up.weight.rows / 2);
        let mut hidden = hidden(part.activation, gate, up, half);
        if let Some(norm) = &part.norm {
            normalize(self.weights, norm, &mut hidden);
        }
        let out = self.linear(&part.down, &hidden)?;
        buffers::give(hidden);
        Ok(out)
    }
}

/// What comes between the products: `up` with its gate, which may be the first `half` of each of
/// its vectors, or with the activation alone.
pub(super) fn hidden(
    activation: Activation,
    gate: Option<Vec<f32>>,
    up: Vec<f32>,
    half: Option<usize>,
) -> Vec<f32> {
    let (gate, mut up) = match half {
        Some(half) if gate.is_none() => {
            let (gate, up) = halves(&up, half);
            (Some(gate), up)
        }
        _ => (gate, up),
    };
    let Some(mut gate) = gate else {
        activation.apply(&mut up);
        return up;
    };
    activation.gate(&mut gate, &up);
    buffers::give(up);
    gate
}

/// The first and second halves of vectors of twice `length` values.
fn halves(x: &[f32], length: usize) -> (Vec<f32>, Vec<f32>) {
    let both = x.chunks_exact(2 * length);
    let first = both.clone().flat_map(|x| &x[..length]).copied().collect();
    (first, both.flat_map(|x| &x[length..]).copied().collect())
}
