//! Reads pickles of tensors on a machine that can do nothing else.
//!
//! A pickle is a program, and Python's machine for it can be made to call anything. This machine
//! knows only the opcodes of one table and the names of another ([`Opcode`], [`global`]), and it
//! builds only descriptions. It calls and imports nothing, and anything outside the two tables is
//! an error that names it. The length of the pickle bounds the memory use. Nothing recurses: values
//! refer to each other by index.

use std::collections::HashMap;

use super::super::data_type::DataType;
use super::TorchProblem;
use super::global::{self, Global};
use super::opcode::{self, Opcode};

/// The maximum number of values on the stack; PyTorch's own pickles have some thousands.
pub(super) const STACK_LIMIT: usize = 1 << 16;
/// The maximum number of memoized values; a pickle has about ten for each tensor.
const MEMO_LIMIT: usize = 1 << 22;

/// A value made by a pickle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// The position of a string in the pickle.
    Text {
        start: u32,
        bytes: u32,
    },
    /// The position of its items in [`Machine::items`].
    Tuple {
        start: u32,
        length: u32,
    },
    /// A dictionary, by its index.
    Dict(u32),
    /// A storage, by its index.
    Storage(u32),
    /// A tensor, by its index.
    Tensor(u32),
    Global(Global),
    /// A value that no tensor depends on, with a description.
    Other(&'static str),
}

/// Numbers that tensors are views of.
#[derive(Clone, Debug)]
pub(super) struct Storage<'a> {
    /// The name of the archive's entry below `data/`.
    pub(super) key: &'a str,
    /// The number type; `None` if the storage consists of plain bytes.
    pub(super) ty: Option<DataType>,
    /// The length in numbers.
    pub(super) numbers: u64,
}

/// A view of a storage.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    /// Index of the storage.
    pub(super) storage: usize,
    pub(super) ty: DataType,
    /// Index in the storage of the number whose indices are all 0.
    pub(super) first: u64,
    /// Length and stride of each dimension, in numbers, outermost first.
    pub(super) dimensions: Vec<(u64, u64)>,
}

/// The contents of a pickle.
#[derive(Debug)]
pub(super) struct Contents<'a> {
    pub(super) storages: Vec<Storage<'a>>,
    /// Names and tensors, in the order of the pickle.
    pub(super) tensors: Vec<(&'a str, Tensor)>,
}

/// Reads the pickle of a dictionary from names to tensors.
pub(super) fn read(pickle: &[u8]) -> Result<Contents<'_>, TorchProblem> {
    let mut machine = Machine { pickle, ..Machine::default() };
    let root = machine.run()?;
    let Value::Dict(index) = root else {
        return Err(TorchProblem::NotTensors { key: None, found: machine.describe(root) });
    };
    let mut tensors = Vec::new();
    for (key, value) in std::mem::take(&mut machine.dicts[index as usize]) {
        let name = machine.text(key);
        match (name, value) {
            (Some(name), Value::Tensor(index)) => {
                tensors.push((name, machine.tensors[index as usize].clone()));
            }
            (name, value) => {
                let key = name.map_or_else(|| machine.describe(key), |name| format!("{name:?}"));
                return Err(TorchProblem::NotTensors {
                    key: Some(key),
                    found: machine.describe(value),
                });
            }
        }
    }
    Ok(Contents { storages: machine.storages, tensors })
}

/// The state of the machine.
#[derive(Debug, Default)]
pub(super) struct Machine<'a> {
    pickle: &'a [u8],
    /// Position of the next byte.
    at: usize,
    /// Position of the current opcode.
    opcode: usize,
    stack: Vec<Value>,
    /// Positions of the marks on the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    items: Vec<Value>,
    pub(super) dicts: Vec<Vec<(Value, Value)>>,
    pub(super) storages: Vec<Storage<'a>>,
    pub(super) tensors: Vec<Tensor>,
}

impl<'a> Machine<'a> {
    /// Runs to the end and returns the remaining value.
    fn run(&mut self) -> Result<Value, TorchProblem> {
        loop {
            self.opcode = self.at;
            let byte = self.byte()?;
            let offset = self.opcode;
            let opcode = Opcode::from_byte(byte).ok_or_else(|| TorchProblem::PickleOpcode {
                offset,
                name: opcode::refused_name(byte),
            })?;
            if opcode == Opcode::Stop {
                return self.pop();
            }
            self.step(opcode)?;
            if self.stack.len() + self.marks.len() > STACK_LIMIT || self.memo.len() > MEMO_LIMIT {
                return Err(self.damaged("more values than any checkpoint has"));
            }
        }
    }

    fn step(&mut self, opcode: Opcode) -> Result<(), TorchProblem> {
        let value = match opcode {
            Opcode::Proto => return self.byte().map(drop),
            Opcode::Mark => {
                self.marks.push(self.stack.len());
                return Ok(());
            }
            Opcode::BinPut | Opcode::LongBinPut => {
                let slot = self.slot(opcode == Opcode::LongBinPut)?;
                let value = self.top()?;
                self.memo.insert(slot, value);
                return Ok(());
            }
            Opcode::Append | Opcode::Appends => {
                let several = opcode == Opcode::Appends;
                self.pop_items(several, 1)?;
                return match self.top()? {
                    Value::Other(LIST) => Ok(()),
                    _ => Err(self.damaged("values are appended to something that is not a list")),
                };
            }
            Opcode::SetItem | Opcode::SetItems => return self.set_items(opcode),
            Opcode::Build => {
                // The attributes of an object do not affect tensors.
                self.pop()?;
                return match self.top()? {
                    Value::Dict(_) => Ok(()),
                    _ => Err(self.damaged("something that is not a dictionary gets a state")),
                };
            }
            Opcode::None => Value::None,
            Opcode::NewTrue => Value::Bool(true),
            Opcode::NewFalse => Value::Bool(false),
            Opcode::BinInt => Value::Int(i32::from_le_bytes(self.bytes()?).into()),
            Opcode::BinInt1 => Value::Int(self.byte()?.into()),
            Opcode::BinInt2 => Value::Int(u16::from_le_bytes(self.bytes()?).into()),
            Opcode::Long1 => self.long()?,
            Opcode::BinFloat => {
                self.bytes::<8>()?;
                Value::Other("a number")
            }
            Opcode::ShortBinString => {
                let length = self.byte()?;
                self.take(length.into())?;
                Value::Other("bytes")
            }
            Opcode::BinUnicode => {
                let bytes = u32::from_le_bytes(self.bytes()?);
                let start = self.at;
                let text = self.take(bytes as usize)?;
                if str::from_utf8(text).is_err() {
                    return Err(self.damaged("a string is not UTF-8"));
                }
                Value::Text { start: self.index(start)?, bytes }
            }
            Opcode::EmptyList => Value::Other(LIST),
            Opcode::EmptyDict => self.new_dict()?,
            Opcode::EmptyTuple => self.tuple(self.stack.len())?,
            Opcode::Tuple => {
                let start = self.pop_mark()?;
                self.tuple(start)?
            }
            Opcode::Tuple1 => self.tuple_of(1)?,
            Opcode::Tuple2 => self.tuple_of(2)?,
            Opcode::Tuple3 => self.tuple_of(3)?,
            Opcode::BinGet | Opcode::LongBinGet => {
                let slot = self.slot(opcode == Opcode::LongBinGet)?;
                *self
                    .memo
                    .get(&slot)
                    .ok_or_else(|| self.damaged("a value is used before it is memoized"))?
            }
            Opcode::Global => self.global()?,
            Opcode::BinPersId => {
                let id = self.pop()?;
                self.storage(id)?
            }
            Opcode::Reduce => {
                let arguments = self.pop()?;
                let function = self.pop()?;
                self.call(function, arguments)?
            }
            Opcode::Stop => unreachable!("ends the loop"),
        };
        self.stack.push(value);
        Ok(())
    }

    fn global(&mut self) -> Result<Value, TorchProblem> {
        let module = self.line()?;
        let name = self.line()?;
        let global = global::find(module, name).ok_or_else(|| TorchProblem::PickleGlobal {
            offset: self.opcode,
            name: shorten(&format!("{module}.{name}")),
        })?;
        Ok(Value::Global(global))
    }

    fn set_items(&mut self, opcode: Opcode) -> Result<(), TorchProblem> {
        let items = self.pop_items(opcode == Opcode::SetItems, 2)?;
        let Value::Dict(index) = self.top()? else {
            return Err(self.damaged("an item of something that is not a dictionary is set"));
        };
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(self.damaged("a key without a value"));
        }
        self.dicts[index as usize].extend(pairs.iter().map(|[key, value]| (*key, *value)));
        Ok(())
    }

    /// Pops the values after the last mark, or `count` values.
    fn pop_items(&mut self, marked: bool, count: usize) -> Result<Vec<Value>, TorchProblem> {
        let start = if marked { self.pop_mark()? } else { self.below(count)? };
        Ok(self.stack.split_off(start))
    }

    fn tuple_of(&mut self, count: usize) -> Result<Value, TorchProblem> {
        let start = self.below(count)?;
        self.tuple(start)
    }

    /// Makes a tuple of the values on the stack from `start` on, and pops them.
    fn tuple(&mut self, start: usize) -> Result<Value, TorchProblem> {
        let length = self.stack.len() - start;
        let value =
            Value::Tuple { start: self.index(self.items.len())?, length: self.index(length)? };
        self.items.extend(self.stack.drain(start..));
        Ok(value)
    }

    pub(super) fn new_dict(&mut self) -> Result<Value, TorchProblem> {
        let index = self.index(self.dicts.len())?;
        self.dicts.push(Vec::new());
        Ok(Value::Dict(index))
    }

    /// Returns the position of the first of the topmost `count` values, all above the last mark.
    fn below(&self, count: usize) -> Result<usize, TorchProblem> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let start = self.stack.len().checked_sub(count).filter(|start| *start >= floor);
        start.ok_or_else(|| self.damaged("too few values on the stack"))
    }

    fn pop_mark(&mut self) -> Result<usize, TorchProblem> {
        self.marks.pop().ok_or_else(|| self.damaged("there is no mark on the stack"))
    }

    fn pop(&mut self) -> Result<Value, TorchProblem> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn top(&self) -> Result<Value, TorchProblem> {
        self.below(1).map(|top| self.stack[top])
    }

    pub(super) fn tuple_items(&self, value: Value) -> Result<&[Value], TorchProblem> {
        match value {
            Value::Tuple { start, length } => Ok(&self.items[start as usize..][..length as usize]),
            _ => Err(self.damaged(format!("{} where a tuple is needed", self.describe(value)))),
        }
    }

    pub(super) fn unsigned(&self, value: Value) -> Result<u64, TorchProblem> {
        let number = match value {
            Value::Int(number) => u64::try_from(number).ok(),
            _ => None,
        };
        number.ok_or_else(|| {
            self.damaged(format!("{} where a length or a position is needed", self.describe(value)))
        })
    }

    pub(super) fn text(&self, value: Value) -> Option<&'a str> {
        let Value::Text { start, bytes } = value else { return None };
        str::from_utf8(&self.pickle[start as usize..][..bytes as usize]).ok()
    }

    /// Reads an integer of any length. Those beyond 64 bits are never lengths.
    fn long(&mut self) -> Result<Value, TorchProblem> {
        let length = self.byte()?;
        let bytes = self.take(length.into())?;
        if bytes.len() > 8 {
            return Ok(Value::Other("an integer of more than 64 bits"));
        }
        let negative = bytes.last().is_some_and(|last| *last >= 0x80);
        let mut all = [if negative { 0xff } else { 0 }; 8];
        all[..bytes.len()].copy_from_slice(bytes);
        Ok(Value::Int(i64::from_le_bytes(all)))
    }

    fn slot(&mut self, long: bool) -> Result<u32, TorchProblem> {
        if long { self.bytes().map(u32::from_le_bytes) } else { self.byte().map(u32::from) }
    }

    fn byte(&mut self) -> Result<u8, TorchProblem> {
        self.bytes().map(|[byte]| byte)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], TorchProblem> {
        let bytes = self.pickle.get(self.at..).and_then(<[u8]>::first_chunk);
        let bytes = *bytes.ok_or_else(|| self.damaged("it ends too early"))?;
        self.at += N;
        Ok(bytes)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], TorchProblem> {
        let rest = &self.pickle[self.at..];
        let taken = rest.get(..length).ok_or_else(|| self.damaged("it ends too early"))?;
        self.at += length;
        Ok(taken)
    }

    fn line(&mut self) -> Result<&'a str, TorchProblem> {
        let rest = &self.pickle[self.at..];
        let length = rest.iter().position(|byte| *byte == b'\n');
        let line = self.take(length.ok_or_else(|| self.damaged("it ends too early"))?)?;
        self.at += 1;
        str::from_utf8(line).map_err(|_| self.damaged("a name is not UTF-8"))
    }

    pub(super) fn index(&self, index: usize) -> Result<u32, TorchProblem> {
        u32::try_from(index).map_err(|_| self.damaged("more values than any checkpoint has"))
    }

    pub(super) fn damaged(&self, what: impl Into<String>) -> TorchProblem {
        TorchProblem::Pickle { offset: self.opcode, what: what.into() }
    }

    fn describe(&self, value: Value) -> String {
        match value {
            Value::None => "None".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Text { .. } => {
                self.text(value).map(|text| shorten(&format!("{text:?}"))).unwrap_or_default()
            }
            Value::Tuple { .. } => "a tuple".to_owned(),
            Value::Dict(_) => "a dictionary".to_owned(),
            Value::Storage(_) => "a storage".to_owned(),
            Value::Tensor(_) => "a tensor".to_owned(),
            Value::Global(global) => global.describe().to_owned(),
            Value::Other(what) => what.to_owned(),
        }
    }
}

/// The description of lists. Nothing reads their items.
const LIST: &str = "a list";

/// Shortens a string from the file to a length suitable for a message.
fn shorten(text: &str) -> String {
    const MOST: usize = 100;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
