//! Reading, writing and reading again: nothing is lost, and writing once more changes nothing.

use std::io::Write;

use granule_format::{Draft, Endian, Header, TensorInfo, Writer};

pub(super) fn run(input: &[u8]) {
    let Ok(header) = Header::parse(input) else { return };
    // padding to such alignments is larger than the file by its nature
    if header.alignment() > 1024 {
        return;
    }
    let Some(written) = write(input, &header) else {
        let is_known = |tensor: &TensorInfo| tensor.ty.known().is_some();
        assert!(!header.tensors().iter().all(is_known), "cannot be written");
        return;
    };
    let again = match Header::parse(&written) {
        Ok(again) => again,
        Err(error) => panic!("what was written cannot be read: {error}"),
    };
    // compared as text: NaN is not equal to itself
    assert_eq!(format!("{:?}", again.metadata()), format!("{:?}", header.metadata()));
    assert_eq!(again.tensors().len(), header.tensors().len());
    for (new, old) in again.tensors().iter().zip(header.tensors()) {
        assert_eq!((&new.name, new.shape, new.ty), (&old.name, old.shape, old.ty));
        assert_eq!(data(&written, &again, new), data(input, &header, old), "{}", new.name);
    }
    assert!(write(&written, &again).as_ref() == Some(&written), "the second time is different");
}

fn write(file: &[u8], header: &Header) -> Option<Vec<u8>> {
    let mut draft = Draft::new(header.metadata().clone(), header.endian()).ok()?;
    for tensor in header.tensors() {
        draft.add(&tensor.name, tensor.shape, tensor.ty).ok()?;
    }
    let mut writer = Writer::start(Vec::new(), draft).expect("memory takes everything");
    for tensor in header.tensors() {
        let mut out = writer.tensor(&tensor.name).expect("the order is that of the table");
        out.write_all(data(file, header, tensor)).expect("no more bytes than announced");
        out.finish().expect("no fewer bytes than announced");
    }
    Some(writer.finish().expect("all tensors are written"))
}

fn data<'f>(file: &'f [u8], header: &Header, tensor: &TensorInfo) -> &'f [u8] {
    assert!(matches!(header.endian(), Endian::Little | Endian::Big));
    let start = header.data_offset() + tensor.offset;
    let bytes = tensor.bytes().expect("the type is known");
    &file[start as usize..(start + bytes) as usize]
}
