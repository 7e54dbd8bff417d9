//! Evaluates the calls of a pickle: storages, and tensors as views of them.

use super::super::data_type::DataType;
use super::TorchProblem;
use super::global::Global;
use super::pickle::{Machine, Storage, Tensor, Value};

impl Machine<'_> {
    /// Returns the result of calling a function of the table.
    pub(super) fn call(
        &mut self,
        function: Value,
        arguments: Value,
    ) -> Result<Value, TorchProblem> {
        let Value::Global(function) = function else {
            return Err(self.damaged("something that is not a function is called"));
        };
        let arguments = self.tuple_items(arguments)?.to_vec();
        match (function, &arguments[..]) {
            (Global::OrderedDict, []) => self.new_dict(),
            (Global::Size, [Value::Tuple { .. }]) => Ok(arguments[0]),
            (Global::RebuildTensor, [storage, first, shape, strides])
            | (Global::RebuildTensorV2, [storage, first, shape, strides, _, _]) => {
                self.tensor(*storage, None, [*first, *shape, *strides])
            }
            (Global::RebuildTensorV2, [storage, first, shape, strides, _, _, metadata]) => {
                self.no_metadata(*metadata)?;
                self.tensor(*storage, None, [*first, *shape, *strides])
            }
            (
                Global::RebuildTensorV3,
                [
                    storage,
                    first,
                    shape,
                    strides,
                    _,
                    _,
                    Value::Global(Global::DataType(ty)),
                    rest @ ..,
                ],
            ) if rest.len() <= 1 => {
                self.no_metadata(rest.first().copied().unwrap_or(Value::None))?;
                self.tensor(*storage, Some(*ty), [*first, *shape, *strides])
            }
            (Global::RebuildParameter, [tensor @ Value::Tensor(_), _, _])
            | (Global::RebuildParameterWithState, [tensor @ Value::Tensor(_), _, _, _]) => {
                Ok(*tensor)
            }
            (
                Global::RebuildFromType,
                [Value::Global(inner), Value::Global(Global::TensorClass), arguments, _],
            ) if *inner != Global::RebuildFromType => self.call(Value::Global(*inner), *arguments),
            _ => Err(self.damaged(format!(
                "{} is called with arguments that PyTorch never uses",
                function.describe()
            ))),
        }
    }

    /// Makes a tensor from a storage and its first number, shape and strides. `ty` is given if the
    /// storage has no type.
    fn tensor(
        &mut self,
        storage: Value,
        ty: Option<DataType>,
        layout: [Value; 3],
    ) -> Result<Value, TorchProblem> {
        let Value::Storage(storage) = storage else {
            return Err(self.damaged("a tensor is made of something that is not a storage"));
        };
        let ty = match (self.storages[storage as usize].ty, ty) {
            (Some(ty), None) | (None, Some(ty)) => ty,
            _ => return Err(self.damaged("tensor and storage have different types")),
        };
        let [first, shape, strides] = layout;
        let first = self.unsigned(first)?;
        let (shape, strides) = (self.tuple_items(shape)?, self.tuple_items(strides)?);
        if shape.len() != strides.len() {
            return Err(self.damaged("shape and strides have different lengths"));
        }
        let pairs = shape.iter().zip(strides);
        let dimensions = pairs
            .map(|(length, stride)| Ok((self.unsigned(*length)?, self.unsigned(*stride)?)))
            .collect::<Result<_, TorchProblem>>()?;
        let index = self.index(self.tensors.len())?;
        self.tensors.push(Tensor { storage: storage as usize, ty, first, dimensions });
        Ok(Value::Tensor(index))
    }

    /// Rejects metadata, which say that the numbers are to be negated or conjugated.
    fn no_metadata(&self, metadata: Value) -> Result<(), TorchProblem> {
        match metadata {
            Value::None => Ok(()),
            Value::Dict(index) if self.dicts[index as usize].is_empty() => Ok(()),
            _ => Err(self.damaged("a tensor has metadata, which are not supported")),
        }
    }

    /// `("storage", class, key, device, numbers)`.
    pub(super) fn storage(&mut self, id: Value) -> Result<Value, TorchProblem> {
        let items = self.tuple_items(id)?;
        let (kind, rest) = items.split_first().ok_or_else(|| self.damaged("an empty reference"))?;
        let [Value::Global(Global::Storage(ty)), key, _, numbers] = rest else {
            return Err(self.damaged("a reference to something that is not a storage"));
        };
        let key = self.text(*key).filter(|_| self.text(*kind) == Some("storage"));
        let key =
            key.ok_or_else(|| self.damaged("a reference to something that is not a storage"))?;
        let storage = Storage { key, ty: *ty, numbers: self.unsigned(*numbers)? };
        let index = self.index(self.storages.len())?;
        self.storages.push(storage);
        Ok(Value::Storage(index))
    }
}
