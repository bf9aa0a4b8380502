//! Adapters that PEFT trained and merged; `tests/golden/adapters/make.py` makes them.

use std::fs;
use std::path::PathBuf;

use mother::safetensors::SafetensorsModel;

use super::*;

fn golden(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/adapters");
    folder.join(name)
}

fn open(name: &str) -> SafetensorsModel<'static> {
    SafetensorsModel::open(golden(&[name, ".safetensors"].concat())).unwrap()
}

#[test]
fn weights_are_those_that_peft_merges() {
    let kinds = [
        ("plain", 2, "LoRA"),
        ("patterns", 4, "LoRA"),
        ("stabilised", 4, "LoRA"),
        ("dora", 2, "DoRA"),
        ("conv1d", 2, "LoRA"),
        ("conv1d-dora", 2, "DoRA"),
        ("embedding", 2, "LoRA"),
        ("saved", 2, "LoRA"),
    ];
    for (kind, rank, method) in kinds {
        let json = fs::read_to_string(golden(&[kind, ".json"].concat())).unwrap();
        let config = AdapterConfig::from_json(&json).unwrap();
        assert_eq!(config.base(), Some("acme/base"));
        assert!(Adapter::is_adapter(&open(kind)));
        let adapter = Adapter::read(open(kind), config).unwrap();
        assert_eq!((adapter.rank(), adapter.method()), (rank, method), "{kind}");
        let adapted = adapter.applied_to(open("base")).unwrap();
        assert_chunks_agree(&adapted);
        let mut found = values(&adapted);
        let mut expected = values(&open(&[kind, ".merged"].concat()));
        found.sort_by(|(first, _), (second, _)| first.cmp(second));
        expected.sort_by(|(first, _), (second, _)| first.cmp(second));
        assert_eq!(found.len(), expected.len());
        let mut changed = 0;
        for ((name, found), (other, expected)) in found.iter().zip(&expected) {
            assert_eq!(name, other, "{kind}");
            for (found, expected) in found.iter().zip(expected) {
                let error = (found - expected).abs();
                assert!(
                    error <= 2e-6 * expected.abs().max(0.1),
                    "{kind} {name}: {found} {expected}"
                );
            }
            let base = values(&open("base"));
            changed += usize::from(!base.iter().any(|(base, v)| base == name && v == found));
        }
        assert!(changed > 0, "{kind}");
    }
}

#[test]
fn unsupported_configurations_are_named() {
    let error = |json: &str| AdapterConfig::from_json(json).unwrap_err();
    assert!(matches!(error("[]"), AdapterError::Config { .. }));
    assert!(matches!(
        error(r#"{"lora_alpha": "x"}"#),
        AdapterError::Config { .. }
    ));
    // The base is known in any case.
    let json = r#"{"peft_type": "OFT", "base_model_name_or_path": "acme/base"}"#;
    let config = AdapterConfig::from_json(json).unwrap();
    assert_eq!(config.base(), Some("acme/base"));
    let method = AdapterError::Method {
        method: "OFT".into(),
    };
    assert_eq!(changed(&[DOWN, UP], config), Err(method));
    let pattern = error(r#"{"alpha_pattern": {"q_proj(?!x)": 4}}"#);
    assert!(matches!(pattern, AdapterError::Pattern { .. }), "{pattern}");
    let config = r#"{"alpha_pattern": null, "base_model_name_or_path": null, "more": 1}"#;
    assert_eq!(AdapterConfig::from_json(config), Ok(AdapterConfig::new()));
}

#[test]
fn the_first_pattern_that_fits_sets_the_scale() {
    let scaled = |patterns: &str| {
        let json = format!(r#"{{"lora_alpha": 1, "alpha_pattern": {{{patterns}}}}}"#);
        changed(&[DOWN, UP], AdapterConfig::from_json(&json).unwrap()).unwrap()[0]
    };
    assert_eq!(scaled(""), 3.0);
    assert_eq!(scaled(r#""m[.](q|k)": 4"#), 9.0);
    assert_eq!(scaled(r#""q": 4, ".*q": 2"#), 9.0);
    assert_eq!(scaled(r#"".*q": 2, "q": 4"#), 5.0);
    assert_eq!(scaled(r#""^q$": 2, "m": 4, "k": 8"#), 3.0);
}
