use super::Builder;
use crate::Error;
use crate::compute::delta::LONGEST;
use crate::graph::{Convolution, DeltaNet, Mamba, MambaForm, Norm, NormKind, ShortConvolution};

impl Builder<'_> {
    pub(super) fn short_convolution(
        &mut self,
        name: &dyn Fn(&str) -> String,
    ) -> Result<ShortConvolution, Error> {
        let width = self.width;
        let length = self.settings.count("shortconv.l_cache")?;
        Ok(ShortConvolution {
            input: self.tensors.linear(&name("shortconv.in_proj"), width, 3 * width)?,
            convolution: self.convolution(&name("shortconv.conv"), length, width)?,
            output: self.tensors.linear(&name("shortconv.out_proj"), width, width)?,
        })
    }

    fn convolution(
        &mut self,
        name: &str,
        length: usize,
        channels: usize,
    ) -> Result<Convolution, Error> {
        let weight = self.tensors.need(&format!("{name}.weight"), [length, channels, 1])?;
        let bias = self.tensors.vector(&format!("{name}.bias"), channels)?;
        Ok(Convolution { length, channels, weight, bias })
    }

    pub(super) fn delta_net(&mut self, name: &dyn Fn(&str) -> String) -> Result<DeltaNet, Error> {
        let width = self.width;
        let inner = self.settings.count("ssm.inner_size")?;
        let key_length = self.settings.count("ssm.state_size")?;
        let length = self.settings.count("ssm.conv_kernel")?;
        let heads = self.settings.count("ssm.time_step_rank")?;
        let groups = self.settings.count("ssm.group_count")?;
        let value_length = inner / heads;
        let fits = inner.is_multiple_of(heads) && heads.is_multiple_of(groups);
        if !fits || value_length > LONGEST {
            let expected = format!("a divisor of {inner}, and a multiple of the {groups} groups");
            return Err(self.settings.contradiction("ssm.time_step_rank", heads, expected));
        }
        let channels = groups.saturating_mul(2 * key_length).saturating_add(inner);
        let joined = self.tensors.has(&name("ssm_ba.weight"));
        let rates = match joined {
            true => vec![self.tensors.linear(&name("ssm_ba"), width, 2 * heads)?],
            false => vec![
                self.tensors.linear(&name("ssm_beta"), width, heads)?,
                self.tensors.linear(&name("ssm_alpha"), width, heads)?,
            ],
        };
        Ok(DeltaNet {
            heads,
            groups,
            alternating: !joined,
            key_length,
            value_length,
            input: self.tensors.linear(&name("attn_qkv"), width, channels)?,
            gate: self.tensors.linear(&name("attn_gate"), width, inner)?,
            convolution: self.convolution(&name("ssm_conv1d"), length, channels)?,
            rates,
            step_bias: self.tensors.need(&name("ssm_dt.bias"), [heads, 1, 1])?,
            decay: self.tensors.need(&name("ssm_a"), [heads, 1, 1])?,
            epsilon: self.epsilon,
            norm: self.needed_norm(&name("ssm_norm"), value_length)?,
            output: self.tensors.linear(&name("ssm_out"), inner, width)?,
        })
    }

    pub(super) fn mamba(&mut self, name: &dyn Fn(&str) -> String) -> Result<Mamba, Error> {
        let width = self.width;
        let inner = self.settings.count("ssm.inner_size")?;
        let state = self.settings.count("ssm.state_size")?;
        let length = self.settings.count("ssm.conv_kernel")?;
        let rank = self.settings.count("ssm.time_step_rank")?;
        let first = self.tensors.has(&name("ssm_x.weight"));
        let groups = if first { 1 } else { self.settings.count("ssm.group_count")? };
        let divides = inner.is_multiple_of(rank) && rank.is_multiple_of(groups);
        if !(first || divides) {
            let expected = format!("a divisor of {inner}, and a multiple of the {groups} groups");
            return Err(self.settings.contradiction("ssm.time_step_rank", rank, expected));
        }
        let (channels, inputs, decays) = match first {
            true => (inner, 2 * inner, [state, inner, 1]),
            false => {
                let channels = inner + 2 * groups * state;
                (channels, inner + channels + rank, [1, rank, 1])
            }
        };
        let form = if first {
            MambaForm::First {
                selection: self.tensors.linear(&name("ssm_x"), inner, rank + 2 * state)?,
                norms: self.selection_norms(name, rank, state)?.map(Box::new),
                step: self.tensors.linear(&name("ssm_dt"), rank, inner)?,
            }
        } else {
            MambaForm::Second {
                heads: rank,
                groups,
                step_bias: self.tensors.need(&name("ssm_dt.bias"), [rank, 1, 1])?,
                norm: self.group_norm(&name("ssm_norm.weight"), inner / groups, groups)?,
            }
        };
        Ok(Mamba {
            inner,
            state,
            input: self.tensors.linear(&name("ssm_in"), width, inputs)?,
            convolution: self.convolution(&name("ssm_conv1d"), length, channels)?,
            form,
            // these two have no suffix
            decay: self.tensors.need(&name("ssm_a"), decays)?,
            skip: self.tensors.need(&name("ssm_d"), [if first { inner } else { rank }, 1, 1])?,
            output: self.tensors.linear(&name("ssm_out"), inner, width)?,
        })
    }

    /// The norms of the step, of what enters the state and of what leaves it.
    fn selection_norms(
        &mut self,
        name: &dyn Fn(&str) -> String,
        rank: usize,
        state: usize,
    ) -> Result<Option<[Norm; 3]>, Error> {
        let lengths = [rank, state, state];
        if self.settings.flag("ssm.dt_b_c_rms")?.unwrap_or(false) {
            return Ok(Some(lengths.map(|length| self.plain_norm(length))));
        }
        let mut norm = |part: &str, length| self.norm(&name(part), length);
        let norms =
            [norm("ssm_dt_norm", rank)?, norm("ssm_b_norm", state)?, norm("ssm_c_norm", state)?];
        Ok(match norms {
            [Some(step), Some(enters), Some(leaves)] => Some([step, enters, leaves]),
            _ => None,
        })
    }

    /// A norm of each group, with its own weights.
    fn group_norm(
        &mut self,
        name: &str,
        length: usize,
        groups: usize,
    ) -> Result<Option<Norm>, Error> {
        let weight = self.tensors.find(name, [length, groups, 1])?;
        let norm = Norm { kind: NormKind::Rms, ..self.plain_norm(length) };
        Ok(weight.map(|weight| Norm { weight: Some(weight), ..norm }))
    }
}
