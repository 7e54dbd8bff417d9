//! The opcodes of pickles: the supported ones, and the names of all others for messages.

/// Builds an enum of the supported opcodes.
macro_rules! opcodes {
    ($( $byte:literal $name:ident )*) => {
        /// A supported opcode.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Opcode { $( $name, )* }

        impl Opcode {
            pub(super) const fn from_byte(byte: u8) -> Option<Self> {
                match byte { $( $byte => Some(Self::$name), )* _ => None }
            }

            #[cfg(test)]
            pub(super) const BYTES: &[u8] = &[$( $byte ),*];
        }
    };
}

// The opcodes that PyTorch itself accepts when it loads only weights.
opcodes! {
    b'(' Mark
    b')' EmptyTuple
    b'.' Stop
    b'G' BinFloat
    b'J' BinInt
    b'K' BinInt1
    b'M' BinInt2
    b'N' None
    b'Q' BinPersId
    b'R' Reduce
    b'U' ShortBinString
    b'X' BinUnicode
    b']' EmptyList
    b'a' Append
    b'b' Build
    b'c' Global
    b'e' Appends
    b'h' BinGet
    b'j' LongBinGet
    b'q' BinPut
    b'r' LongBinPut
    b's' SetItem
    b't' Tuple
    b'u' SetItems
    b'}' EmptyDict
    0x80 Proto
    0x85 Tuple1
    0x86 Tuple2
    0x87 Tuple3
    0x88 NewTrue
    0x89 NewFalse
    0x8a Long1
}

/// The rejected opcodes, with their names in Python's documentation.
const REFUSED: &[(u8, &str)] = &[
    (b'0', "POP"),
    (b'1', "POP_MARK"),
    (b'2', "DUP"),
    (b'B', "BINBYTES"),
    (b'C', "SHORT_BINBYTES"),
    (b'F', "FLOAT"),
    (b'I', "INT"),
    (b'L', "LONG"),
    (b'P', "PERSID"),
    (b'S', "STRING"),
    (b'T', "BINSTRING"),
    (b'V', "UNICODE"),
    (b'd', "DICT"),
    (b'g', "GET"),
    (b'i', "INST"),
    (b'l', "LIST"),
    (b'o', "OBJ"),
    (b'p', "PUT"),
    (0x81, "NEWOBJ"),
    (0x82, "EXT1"),
    (0x83, "EXT2"),
    (0x84, "EXT4"),
    (0x8b, "LONG4"),
    (0x8c, "SHORT_BINUNICODE"),
    (0x8d, "BINUNICODE8"),
    (0x8e, "BINBYTES8"),
    (0x8f, "EMPTY_SET"),
    (0x90, "ADDITEMS"),
    (0x91, "FROZENSET"),
    (0x92, "NEWOBJ_EX"),
    (0x93, "STACK_GLOBAL"),
    (0x94, "MEMOIZE"),
    (0x95, "FRAME"),
    (0x96, "BYTEARRAY8"),
    (0x97, "NEXT_BUFFER"),
    (0x98, "READONLY_BUFFER"),
];

/// Returns the name of an opcode that is not supported.
pub(super) fn refused_name(byte: u8) -> String {
    match REFUSED.iter().find(|(refused, _)| *refused == byte) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("{byte:#04x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_opcode_is_run_or_refused() {
        assert_eq!(Opcode::BYTES.len() + REFUSED.len(), 68, "as many as Python 3.11 has");
        for (byte, name) in REFUSED {
            assert_eq!(Opcode::from_byte(*byte), None, "{name}");
        }
    }
}
