use granule_reader::SourceTensor;

/// The number of parameters of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameters {
    /// All parameters.
    pub(super) total: u64,
    /// Parameters outside experts.
    shared: u64,
    /// Parameters of one expert, summed over all layers.
    expert: u64,
    /// Experts per layer, on average.
    experts: u64,
    /// Whether they are those of an adapter, which need not change the whole model.
    adapter: bool,
}

impl Parameters {
    /// Counts the parameters in the tensors of a file; 0 if the number is unknown.
    pub(crate) fn count<'t>(tensors: impl IntoIterator<Item = &'t SourceTensor>) -> Self {
        let mut count = Self::default();
        let (mut experts, mut stacks) = (0, 0);
        // The first matrix of the last pair: its name without the last letter, and its columns.
        let mut first: Option<(&str, u64)> = None;
        for tensor in tensors {
            let dimensions = tensor.shape.dimensions();
            let mut values = tensor.shape.values().unwrap_or_default();
            if tensor.name.ends_with(".lora_a") {
                first = Some((&tensor.name[..tensor.name.len() - 1], dimensions[0]));
                continue;
            }
            if tensor.name.ends_with(".lora_b") {
                // The size of the product. As in the reference, unknown if pairs are apart.
                let Some((name, columns)) = first else { return Self::default() };
                if tensor.name[..tensor.name.len() - 1] != *name {
                    return Self::default();
                }
                values = (values / dimensions[0].max(1)).saturating_mul(columns);
                count.adapter = true;
            }
            count.total += values;
            let stack = match dimensions {
                _ if !tensor.name.contains("_exps.") => None,
                [_, experts, _] if tensor.name.contains(".bias") => Some(*experts),
                [_, _, experts, ..] => Some(*experts),
                _ => None,
            };
            match stack {
                Some(number) => {
                    count.expert += values.checked_div(number).unwrap_or_default();
                    experts += number;
                    stacks += 1;
                }
                None => count.shared += values,
            }
        }
        count.experts = experts.checked_div(stacks).unwrap_or_default();
        count
    }

    /// Returns the number, negative for an adapter.
    pub(super) fn signed(&self) -> i64 {
        let total = i64::try_from(self.total).unwrap_or(i64::MAX);
        if self.adapter { -total } else { total }
    }

    /// Formats the number as a label: `135M`, `8x7.2B`.
    pub(super) fn label(&self) -> String {
        if self.experts > 0 {
            format!("{}x{}", self.experts, super::name::rounded(self.shared + self.expert))
        } else {
            super::name::rounded(self.total)
        }
    }
}
