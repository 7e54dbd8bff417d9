//! Layers that predict further tokens, which a conversion can leave out or choose.

use crate::arch::{Active, Arch, Place, Scope};
use crate::{Error, Problem};

/// What becomes of layers that predict further tokens (MTP, NextN).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FurtherTokens {
    /// They stay with the model.
    #[default]
    Keep,
    /// They alone are converted, with the embedding and the output that they share with the model.
    Only,
    /// They are left out.
    LeaveOut,
}

/// Tensors of the model that such layers use.
const SHARED: &[&str] = &["token_embd.weight", "output_norm.weight", "output.weight"];

impl FurtherTokens {
    /// Checks that the model can have such layers, and has some if nothing else is wanted.
    pub(super) fn check(self, arch: &Arch, scope: &Scope<'_>, class: &str) -> Result<(), Error> {
        let fail = |problem| Err(Error::in_file(scope.file(), problem));
        let number = arch.numbers.iter().find(|(name, _)| name == "mtp_layers");
        // The number of most descriptions is the literal 0.
        let number = number.map(|(_, number)| number).filter(|number| number.to_string() != "0");
        match (self, number) {
            (Self::Keep, _) | (Self::LeaveOut, Some(_)) => Ok(()),
            (_, None) => fail(Problem::NoFurtherTokens { class: class.to_owned() }),
            (Self::Only, Some(number)) => match scope.count(number)? {
                0 => fail(Problem::NoFurtherLayers),
                _ => Ok(()),
            },
        }
    }

    /// Returns whether the file has the tensors of a rule at a place, in a model with that many
    /// layers before those that predict further tokens.
    pub(super) fn wants(self, active: &Active<'_>, place: Place, layers: u64) -> bool {
        let names = || active.outputs.iter().map(|target| target.name(place.layer));
        let block = |name: &str| name.strip_prefix("blk.")?.split('.').next()?.parse::<u64>().ok();
        let beyond = |layer: u64| layer >= layers;
        let further = || match active.rule.outputs.is_empty() {
            true => place.layer.is_some_and(beyond),
            false => names().all(|name| block(&name).is_some_and(beyond)),
        };
        match self {
            Self::Keep => true,
            Self::Only => further() || names().any(|name| SHARED.contains(&name.as_str())),
            Self::LeaveOut => !further(),
        }
    }
}
