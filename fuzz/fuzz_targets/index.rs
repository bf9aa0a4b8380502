#![no_main]

#[path = "../../tests/integration/fuzzed/index.rs"]
mod index;
#[path = "../../tests/integration/fuzzed/safetensors.rs"]
mod safetensors;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| index::check(bytes));
