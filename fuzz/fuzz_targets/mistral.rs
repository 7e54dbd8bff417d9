#![no_main]
granule_fuzz::fuzz!("mistral");
