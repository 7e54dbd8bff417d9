#![no_main]
granule_fuzz::fuzz!("tiktoken");
