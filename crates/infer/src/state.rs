//! What a model remembers of a text.

use crate::Model;
use crate::graph::{Heads, Part, Window};

/// What a layer remembers of a text: vectors of every token, and states of fixed size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerState {
    /// Values of the keys of a token.
    pub keys: usize,
    /// Values of the values of a token. Latent attention has none: it reads them from the keys.
    pub values: usize,
    /// Tokens that the layer looks back on; `None` for all.
    pub window: Option<usize>,
    /// Values of what a convolution still sees.
    pub convolution: usize,
    /// Values of a recurrent state.
    pub recurrent: usize,
}

impl Model<'_> {
    /// What each layer remembers of a text. Encoders remember nothing: they see it whole.
    pub fn states(&self) -> Vec<LayerState> {
        let graph = self.graph();
        let layers = graph.layers.iter().map(|layer| {
            let mut state = LayerState::default();
            for step in layer.steps.iter().filter(|_| graph.causal) {
                match &step.part {
                    Part::Attention(part) => state.add(&part.heads, part.heads.value_row()),
                    Part::Latent(part) => state.add(&part.heads, 0),
                    Part::DeltaNet(part) => {
                        let channels = part.convolution.channels;
                        state.convolution += (part.convolution.length - 1) * channels;
                        state.recurrent += part.heads * part.key_length * part.value_length;
                    }
                    Part::Mamba(part) => {
                        let channels = part.convolution.channels;
                        state.convolution += (part.convolution.length - 1) * channels;
                        state.recurrent += part.inner * part.state;
                    }
                    Part::ShortConvolution(part) => {
                        let channels = part.convolution.channels;
                        state.convolution += (part.convolution.length - 1) * channels;
                    }
                    Part::FeedForward(_) | Part::Experts(_) => {}
                }
            }
            state
        });
        layers.collect()
    }
}

impl LayerState {
    fn add(&mut self, heads: &Heads, values: usize) {
        self.keys += heads.key_row();
        self.values += values;
        self.window = heads.window.map(|window| match window {
            Window::Near(length) | Window::Part(length) => length,
        });
    }
}
