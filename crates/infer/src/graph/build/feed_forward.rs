use super::Builder;
use crate::Error;
use crate::graph::{Experts, FeedForward, Gating, Linear, Part};

impl Builder<'_> {
    pub(super) fn feed_forward(
        &mut self,
        layer: usize,
        name: &dyn Fn(&str) -> String,
    ) -> Result<Option<Part>, Error> {
        if self.tensors.has(&name("ffn_gate_inp.weight")) {
            return Ok(Some(Part::Experts(Box::new(self.experts(layer, name)?))));
        }
        let recurrent = self.tensors.has(&name("ssm_in.weight"));
        if recurrent && !self.tensors.has(&name("ffn_up.weight")) {
            return Ok(None);
        }
        Ok(Some(Part::FeedForward(Box::new(self.dense("", name)?))))
    }

    /// The tensors `ffn_up`, `ffn_down` and, if it is there, `ffn_gate`, with a suffix.
    fn dense(&mut self, suffix: &str, name: &dyn Fn(&str) -> String) -> Result<FeedForward, Error> {
        let width = self.width;
        let [up, gate, down] =
            ["up", "gate", "down"].map(|part| name(&format!("ffn_{part}{suffix}")));
        // the converter's `feed_forward_length` is not always that of the tensors
        let down_name = format!("{down}.weight");
        let Some([hidden, ..]) = self.tensors.shape(&down_name) else {
            return Err(self.tensors.missing(&down_name));
        };
        // without a gate of its own, a matrix that is twice as high has both
        let rows = self.tensors.shape(&format!("{up}.weight")).map_or(0, |shape| shape[1]);
        let gate = self.tensors.find_linear(&gate, width, hidden)?;
        let joined = gate.is_none() && rows == 2 * hidden;
        let activation = match self.family.without_gate {
            Some(activation) if gate.is_none() && !joined => activation,
            _ => self.family.activation,
        };
        Ok(FeedForward {
            gate,
            up: self.tensors.linear(&up, width, if joined { rows } else { hidden })?,
            joined,
            norm: None,
            down: self.tensors.linear(&down, hidden, width)?,
            activation,
        })
    }

    fn experts(&mut self, layer: usize, name: &dyn Fn(&str) -> String) -> Result<Experts, Error> {
        let (family, width) = (self.family, self.width);
        let count = self.settings.count("expert_count")?;
        let used = self.settings.per_layer("expert_used_count", self.layers)?;
        let used = used.map_or(0, |used| used[layer]);
        if !(1..=count).contains(&used) {
            let expected = format!("a number from 1 to {count}");
            return Err(self.settings.contradiction("expert_used_count", used, expected));
        }
        let hidden = match self.settings.per_layer("expert_feed_forward_length", self.layers)? {
            Some(hidden) => Some(hidden),
            None => self.settings.per_layer("feed_forward_length", self.layers)?,
        };
        let hidden = hidden.map_or(0, |hidden| hidden[layer]);
        let [up, gate, down] = ["up", "gate", "down"].map(|part| name(&format!("ffn_{part}_exps")));
        let both = name("ffn_gate_up_exps");
        let joined = self.tensors.has(&format!("{both}.weight"));
        let gate = match self.tensors.has(&format!("{gate}.weight")) {
            true => Some(self.tensors.linears(&gate, width, hidden, count)?),
            false => None,
        };
        let up = match joined {
            true => self.tensors.linears(&both, width, 2 * hidden, count)?,
            false => self.tensors.linears(&up, width, hidden, count)?,
        };
        let gating = match self.settings.integer("expert_gating_func")? {
            None | Some(0) => family.gating,
            Some(1) => Gating::Softmax,
            Some(2) => Gating::Sigmoid,
            Some(3) => Gating::SoftmaxOfChosen,
            Some(other) => {
                let expected = "1 (softmax), 2 (sigmoid) or 3 (softmax of the chosen)";
                return Err(self.settings.contradiction("expert_gating_func", other, expected));
            }
        };
        let groups = self.settings.integer("expert_group_count")?.filter(|groups| *groups > 1);
        let groups = match groups {
            None => None,
            Some(groups) => {
                let used = self.settings.integer("expert_group_used_count")?.unwrap_or(groups);
                if !count.is_multiple_of(groups) || !(1..=groups).contains(&used) {
                    let expected =
                        format!("a divisor of the {count} experts, of which some are used");
                    return Err(self.settings.contradiction(
                        "expert_group_count",
                        groups,
                        expected,
                    ));
                }
                Some((groups, used))
            }
        };
        let scale = match self.settings.float("expert_weights_scale")? {
            None | Some(0.0) => 1.0,
            Some(scale) => scale,
        };
        Ok(Experts {
            count,
            used,
            router: self.tensors.linear(&name("ffn_gate_inp"), width, count)?,
            gating,
            correction: self.tensors.vector(&name("exp_probs_b.bias"), count)?,
            groups,
            normalized: self.settings.flag("expert_weights_norm")?.unwrap_or(family.normalized),
            weighs_inputs: family.weighs_inputs,
            scale,
            gate,
            up,
            joined,
            down: self.tensors.linears(&down, hidden, width, count)?,
            activation: family.activation,
            shared: self.shared(name)?,
        })
    }

    /// The expert that all tokens use.
    fn shared(
        &mut self,
        name: &dyn Fn(&str) -> String,
    ) -> Result<Option<(FeedForward, Option<Linear>)>, Error> {
        if !self.tensors.has(&name("ffn_up_shexp.weight")) {
            return Ok(None);
        }
        let part = self.dense("_shexp", name)?;
        let gate = self.tensors.find_linear(&name("ffn_gate_inp_shexp"), self.width, 1)?;
        Ok(Some((part, gate)))
    }
}
