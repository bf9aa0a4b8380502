#![no_main]

#[path = "../../tests/integration/fuzzed/safetensors.rs"]
mod safetensors;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| safetensors::check(bytes));
