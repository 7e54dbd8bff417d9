//! The three ways of opening a file give the same: from its path, as a map, from memory.

use granule_reader::{Error, Model};

use crate::{folder, write};

/// Values that are decoded at most: blocks of few bits are many times as large as `f32`.
const MOST_VALUES: u64 = 1 << 16;

pub(super) fn run(input: &[u8]) {
    let folder = folder();
    let path = write(&folder, "model.gguf", input);
    let from_path = Model::open(&path);
    // SAFETY: nobody else knows the folder.
    #[allow(unsafe_code, reason = "this is one of the ways")]
    let mapped = unsafe { Model::map(&path) };
    let from_bytes = Model::from_bytes(input.to_vec());
    let (from_path, mapped) = match (from_path, mapped) {
        (Err(one), Err(other)) => {
            // an empty file cannot be mapped, and a part of a set says so in other words
            assert!(from_bytes.is_err(), "{one} {other}");
            return;
        }
        (Ok(one), Ok(other)) => (one, other),
        (one, other) => panic!("{one:?} {other:?}"),
    };
    let from_bytes = match from_bytes {
        Ok(model) => model,
        Err(error) => panic!("{error}"),
    };
    for other in [&mapped, &from_bytes] {
        assert_eq!(format!("{:?}", other.header()), format!("{:?}", from_path.header()));
    }
    for index in 0..from_path.tensors().len() {
        let values = [&from_path, &mapped, &from_bytes].map(|model| {
            let tensor = model.tensor_at(index);
            let Some(count) = tensor.shape().values().filter(|count| *count <= MOST_VALUES) else {
                return Ok(Vec::new());
            };
            let mut out = vec![0.0; count as usize];
            let decoded = tensor.decode_rows(.., &mut out);
            decoded.map(|()| out.iter().map(|value: &f32| value.to_bits()).collect::<Vec<_>>())
        });
        let [one, two, three] = values.map(|values| values.map_err(|error| kind(&error)));
        assert!(one == two && two == three, "tensor {index}: {one:?} {two:?} {three:?}");
        let bytes = [&mapped, &from_bytes].map(|model| model.tensor_at(index).bytes());
        assert_eq!(bytes[0], bytes[1]);
        let rows = from_path.tensor_at(index).rows();
        for rows in [0..0, 0..rows, rows..rows] {
            let one = mapped.tensor_at(index).read_rows(rows.clone());
            let two = from_bytes.tensor_at(index).read_rows(rows);
            assert_eq!(one.map_err(|e| kind(&e)), two.map_err(|e| kind(&e)));
        }
    }
}

fn kind(error: &Error) -> std::mem::Discriminant<Error> {
    std::mem::discriminant(error)
}
