#![no_main]

#[path = "../../tests/integration/fuzzed/gguf.rs"]
mod gguf;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gguf::check(bytes));
