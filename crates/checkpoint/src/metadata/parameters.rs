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
}

impl Parameters {
    /// Counts the parameters in the tensors of a file; 0 if the number is unknown.
    pub(crate) fn count<'t>(tensors: impl IntoIterator<Item = &'t SourceTensor>) -> Self {
        let mut count = Self::default();
        let (mut experts, mut stacks) = (0, 0);
        for tensor in tensors {
            // As in the reference, the number is unknown with adapters that belong to the model.
            if tensor.name.ends_with(".lora_a") {
                return Self::default();
            }
            let values = tensor.shape.values().unwrap_or_default();
            count.total += values;
            let dimensions = tensor.shape.dimensions();
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

    /// Formats the number as a label: `135M`, `8x7.2B`.
    pub(super) fn label(&self) -> String {
        if self.experts > 0 {
            format!("{}x{}", self.experts, super::name::rounded(self.shared + self.expert))
        } else {
            super::name::rounded(self.total)
        }
    }
}
