//! Split sets: up to three files of one input, opened as one model, converted back to one, checked
//! one by one.

use granule_convert::Plan;
use granule_convert::recipe::Split;
use granule_format::Header;
use granule_format::check::{Options, Sibling, is_sibling};
use granule_reader::Model;
use granule_reader::{GgufSource, Source};

use crate::parts::{number, parts};
use crate::{folder, write};

pub(super) fn run(input: &[u8]) {
    let ([choice], input) = number(input);
    let files: [&[u8]; 3] = parts(input);
    let count = 1 + usize::from(choice % 3);
    let folder = folder();
    let names: Vec<_> =
        (1..=count).map(|i| format!("a-{i:05}-of-{:05}.gguf", 1 + (choice >> 4) % 4)).collect();
    for (name, file) in names.iter().zip(files) {
        write(&folder, name, file);
    }
    let headers: Vec<_> = files.iter().map(|file| Header::parse(file).ok()).collect();
    for (name, file) in names.iter().zip(files) {
        let siblings: Vec<_> = names
            .iter()
            .zip(&headers)
            .filter(|(other, _)| is_sibling(name, other))
            .map(|(name, header)| Sibling { name, header: header.as_ref() })
            .collect();
        let options = Options::default().with_name(name).with_siblings(&siblings);
        let report = granule_format::check(file, &options);
        let path = folder.path().join(name);
        let opened = Model::open(&path);
        match &opened {
            Ok(model) => {
                assert!(model.shards().len() <= siblings.len() + 1, "{name}");
                let headers = model.shards().iter().map(|shard| shard.header());
                let tensors: usize = headers.map(|header| header.tensors().len()).sum();
                assert_eq!(tensors, model.tensors().len());
            }
            // a valid file opens, unless another file of its set is at fault
            Err(error) => assert!(!report.is_valid(false) || !siblings.is_empty(), "{error}"),
        }
        if let Ok(source) = GgufSource::open(&path) {
            for index in 0..source.tensors().len() {
                assert!(source.shard(index) < source.shards());
            }
            let _ = Plan::as_is(&source, &Split::NONE, false);
        }
    }
}
