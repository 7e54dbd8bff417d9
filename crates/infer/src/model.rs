use std::fmt;

use granule_reader::{Source, decode_blocks, isa::Isa};

use crate::compute::{Mode, Weights, block_type, normalize};
use crate::graph::{Graph, Layer, TensorRef, Use, build};
use crate::{Error, Tokenizer};

/// A model that can be run: its graph, and the source of its weights, which stay there.
pub struct Model<'s> {
    source: &'s dyn Source,
    graph: Graph,
    /// Tensors of the embedding and the output that are needed whole, but for large matrices.
    weights: Weights,
}

impl<'s> Model<'s> {
    /// Reads the metadata, and finds and checks the tensors.
    ///
    /// # Errors
    /// If the architecture has no graph, if metadata are missing or contradict each other, if a
    /// tensor is missing or has another shape.
    pub fn open(source: &'s dyn Source) -> Result<Self, Error> {
        let graph = build(source)?;
        let embedding = &graph.embedding;
        let norms = [&embedding.norm, &graph.output.norm];
        let norms = norms.into_iter().flatten().flat_map(|norm| [norm.weight, norm.bias]);
        let norms = norms.flatten().map(|tensor| (tensor.index, Use::Values));
        let weights = Weights::load(source, norms, Mode::Exact)?;
        Ok(Self { source, graph, weights })
    }

    /// The value of `general.architecture`.
    pub fn architecture(&self) -> &'static str {
        self.graph.architecture
    }

    /// Number of tokens in the vocabulary: rows of the embedding, and logits.
    pub fn vocabulary(&self) -> usize {
        self.graph.vocabulary
    }

    /// Values of a token between layers.
    pub fn width(&self) -> usize {
        self.graph.width
    }

    /// Number of layers.
    pub fn layers(&self) -> usize {
        self.graph.layers.len()
    }

    /// Positions that the model was trained for.
    pub fn context(&self) -> usize {
        self.graph.context
    }

    /// Whether the model predicts tokens. Otherwise it only has vectors for texts.
    pub fn predicts(&self) -> bool {
        self.graph.output.linear.is_some()
    }

    /// The tensors whose matrices the layers multiply with: for each layer their places in the
    /// source. The matrix of the output is alone in one more, unless it is the embedding.
    pub fn products(&self) -> Vec<Vec<usize>> {
        let of_layer = |layer: &Layer| {
            let products = layer.tensors.iter().filter(|(_, used)| *used == Use::Products);
            products.map(|(index, _)| *index).collect()
        };
        let mut products: Vec<Vec<usize>> = self.graph.layers.iter().map(of_layer).collect();
        let output = self.graph.output.linear.as_ref().map(|linear| linear.weight.index);
        let output = output.filter(|index| *index != self.graph.embedding.tokens.index);
        products.extend(output.map(|index| vec![index]));
        products
    }

    /// Where the weights are.
    pub fn source(&self) -> &'s dyn Source {
        self.source
    }

    /// The tokenizer in the metadata.
    ///
    /// # Errors
    /// If there is none, or this version does not know its kind.
    pub fn tokenizer(&self) -> Result<Tokenizer<'s>, Error> {
        Tokenizer::of(self.source.metadata())
    }

    pub(crate) fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Checks that all tokens are in the vocabulary, and that positions up to `end` exist.
    pub(crate) fn check(&self, tokens: &[u32], end: usize) -> Result<(), Error> {
        // positions that are told by a matrix end with it; others go on
        let limit = self.graph.embedding.positions.map_or(usize::MAX, |positions| positions.rows);
        if tokens.is_empty() || end > limit {
            let found = if tokens.is_empty() { 0 } else { end };
            return Err(Error::Length { found, limit });
        }
        let vocabulary = self.graph.vocabulary;
        match (0..).zip(tokens).find(|(_, token)| **token as usize >= vocabulary) {
            Some((position, token)) => Err(Error::Token { token: *token, position, vocabulary }),
            None => Ok(()),
        }
    }

    /// The vectors of tokens at positions from `first` on.
    pub(crate) fn embed(&self, tokens: &[u32], first: usize) -> Result<Vec<f32>, Error> {
        let (embedding, width) = (&self.graph.embedding, self.graph.width);
        let rows: Vec<usize> = tokens.iter().map(|token| *token as usize).collect();
        let mut x = self.rows(embedding.tokens, &rows)?;
        if embedding.scale != 1.0 {
            x.iter_mut().for_each(|x| *x *= embedding.scale);
        }
        if let Some(positions) = embedding.positions {
            let rows: Vec<usize> = (first..first + tokens.len()).collect();
            crate::compute::add(&mut x, &self.rows(positions, &rows)?);
        }
        if let Some(kinds) = embedding.kinds {
            let kind = self.rows(kinds, &[0])?;
            x.chunks_exact_mut(width).for_each(|x| crate::compute::add(x, &kind));
        }
        if let Some(norm) = &embedding.norm {
            normalize(&self.weights, norm, &mut x);
        }
        Ok(x)
    }

    /// The norm before the output.
    pub(crate) fn normalize(&self, x: &mut [f32]) {
        if let Some(norm) = &self.graph.output.norm {
            normalize(&self.weights, norm, x);
        }
    }

    /// Some rows of a tensor.
    fn rows(&self, tensor: TensorRef, rows: &[usize]) -> Result<Vec<f32>, Error> {
        let info = &self.source.tensors()[tensor.index];
        let ty = block_type(info.ty, &info.name)?;
        let mut out = vec![0.0; rows.len() * tensor.columns];
        let mut blocks = Vec::new();
        for (row, out) in rows.iter().zip(out.chunks_exact_mut(tensor.columns)) {
            let row = *row as u64;
            self.source.read_rows(tensor.index, row..row + 1, &mut blocks)?;
            decode_blocks(Isa::detect(), ty, &blocks, out);
        }
        Ok(out)
    }
}

impl fmt::Debug for Model<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("architecture", &self.graph.architecture)
            .field("layers", &self.graph.layers.len())
            .field("width", &self.graph.width)
            .field("vocabulary", &self.graph.vocabulary)
            .finish_non_exhaustive()
    }
}
