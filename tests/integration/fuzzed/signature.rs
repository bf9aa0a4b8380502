//! Bytes as a written signature.

use mother::evidence::SignatureComparison;
use mother::signature::Signature;

#[allow(dead_code, reason = "each fuzz target uses some of this")]
pub(crate) fn check(bytes: &[u8]) {
    let signature = match Signature::from_bytes(bytes) {
        Ok(signature) => signature,
        Err(error) => {
            // One line of bounded length, whatever the file says.
            let line = error.to_string();
            assert!(!line.contains(char::is_control), "{line:?}");
            assert!(line.chars().count() < 800, "{line}");
            return;
        }
    };
    assert!(4 * signature.numbers() <= bytes.len());
    let written = signature.to_bytes();
    assert!(::safetensors::SafeTensors::deserialize(&written).is_ok());
    assert_eq!(Signature::from_bytes(&written).as_ref(), Ok(&signature));
    // Whatever can be read can be compared.
    let copy = signature
        .clone()
        .with_name(format!("{}'", signature.name()));
    let models = [signature, copy];
    if let Ok(evidence) = SignatureComparison::new().compare(&models) {
        for group in &evidence.groups {
            let distances = group.distances();
            assert!(distances.values().iter().all(|distance| *distance == 0.0));
        }
    }
}
