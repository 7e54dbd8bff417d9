//! The names that pickles may refer to: a closed list.

use super::super::data_type::DataType;

/// A name that a pickle may refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    /// A dictionary.
    OrderedDict,
    /// A tuple of lengths.
    Size,
    /// Makes a view of a storage.
    RebuildTensor,
    /// Like [`Self::RebuildTensor`], with additional training state.
    RebuildTensorV2,
    /// Like [`Self::RebuildTensorV2`], for a storage without a type.
    RebuildTensorV3,
    /// Makes a parameter of a tensor.
    RebuildParameter,
    /// Like [`Self::RebuildParameter`], with attributes.
    RebuildParameterWithState,
    /// Calls one of the functions above and adds attributes.
    RebuildFromType,
    /// The class of tensors or of parameters.
    TensorClass,
    /// The class of storages of a type; `None` if they have no type.
    Storage(Option<DataType>),
    /// A number type.
    DataType(DataType),
}

/// The table.
const GLOBALS: &[(&str, &str, Global)] = &[
    ("collections", "OrderedDict", Global::OrderedDict),
    ("torch", "Size", Global::Size),
    ("torch", "Tensor", Global::TensorClass),
    ("torch._tensor", "Tensor", Global::TensorClass),
    ("torch._tensor", "_rebuild_from_type_v2", Global::RebuildFromType),
    ("torch._utils", "_rebuild_parameter", Global::RebuildParameter),
    ("torch._utils", "_rebuild_parameter_with_state", Global::RebuildParameterWithState),
    ("torch._utils", "_rebuild_tensor", Global::RebuildTensor),
    ("torch._utils", "_rebuild_tensor_v2", Global::RebuildTensorV2),
    ("torch._utils", "_rebuild_tensor_v3", Global::RebuildTensorV3),
    ("torch.nn.parameter", "Parameter", Global::TensorClass),
    ("torch.storage", "UntypedStorage", Global::Storage(None)),
    ("torch", "BFloat16Storage", Global::Storage(Some(DataType::BF16))),
    ("torch", "BoolStorage", Global::Storage(Some(DataType::Bool))),
    ("torch", "ByteStorage", Global::Storage(Some(DataType::U8))),
    ("torch", "CharStorage", Global::Storage(Some(DataType::I8))),
    ("torch", "DoubleStorage", Global::Storage(Some(DataType::F64))),
    ("torch", "FloatStorage", Global::Storage(Some(DataType::F32))),
    ("torch", "HalfStorage", Global::Storage(Some(DataType::F16))),
    ("torch", "IntStorage", Global::Storage(Some(DataType::I32))),
    ("torch", "LongStorage", Global::Storage(Some(DataType::I64))),
    ("torch", "ShortStorage", Global::Storage(Some(DataType::I16))),
];

/// Returns the entry with this name.
pub(super) fn find(module: &str, name: &str) -> Option<Global> {
    if let Some((.., global)) = GLOBALS.iter().find(|entry| (entry.0, entry.1) == (module, name)) {
        return Some(*global);
    }
    (module == "torch").then(|| DataType::from_torch(name).map(Global::DataType)).flatten()
}

impl Global {
    /// Returns a description for messages.
    pub(super) const fn describe(self) -> &'static str {
        match self {
            Self::OrderedDict | Self::Size => "a class",
            Self::TensorClass | Self::Storage(_) => "a PyTorch class",
            Self::DataType(_) => "a number type",
            Self::RebuildTensor
            | Self::RebuildTensorV2
            | Self::RebuildTensorV3
            | Self::RebuildParameter
            | Self::RebuildParameterWithState
            | Self::RebuildFromType => "a function",
        }
    }
}
