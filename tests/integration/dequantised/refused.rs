//! Tables that are missing, don't fit or hold impossible numbers.

use mother::signature::SignatureOptions;

use super::stored::Tensor;
use super::{changed, dequantised, names, reasons};

fn named<'a>(tensors: &'a mut [Tensor], end: &str) -> &'a mut Tensor {
    tensors
        .iter_mut()
        .find(|tensor| tensor.name.ends_with(end))
        .unwrap()
}

#[test]
fn a_layer_whose_table_is_missing_is_left_out_whole() {
    for (scheme, table) in [
        ("GPTQ of 4 bits", "qzeros"),
        ("GPTQ of 4 bits", "scales"),
        ("GPTQ of 4 bits", "qweight"),
        ("AWQ", "scales"),
        ("compressed-tensors", "weight_shape"),
        ("compressed-tensors", "weight_scale"),
        ("NF4", "absmax"),
        ("NF4", "quant_map"),
        ("NF4, nested", "nested_absmax"),
        ("NF4, nested", "nested_quant_map"),
        ("LLM.int8", "SCB"),
        ("I8, rows", "weight_scale"),
        ("Quanto", "_scale"),
    ] {
        let model = changed(scheme, |tensors| {
            tensors
                .retain(|tensor| !tensor.name.ends_with(table) || tensor.name == "p.input_scale");
        });
        assert_eq!(names(&model), ["p.bias"], "{scheme} without {table}");
        assert_eq!(reasons(&model).len(), 1, "{scheme} without {table}");
    }
    let model = changed("GPTQ of 4 bits", |tensors| {
        tensors.retain(|tensor| !tensor.name.ends_with("scales"));
    });
    assert_eq!(reasons(&model), ["p.qweight: `p.scales` is missing"]);
    let model = changed("NF4", |tensors| {
        tensors.retain(|tensor| !tensor.name.ends_with("bitsandbytes__nf4"));
    });
    assert_eq!(names(&model), ["p.bias"]);
}

#[test]
fn tables_that_do_not_fit_are_refused() {
    for (scheme, table, shape) in [
        ("GPTQ of 4 bits", "qzeros", &[8, 1][..]),
        ("GPTQ of 4 bits", "scales", &[64]),
        ("GPTQ of 4 bits", "qweight", &[16, 8]),
        ("GPTQ of 4 bits", "qweight", &[128]),
        ("GPTQ in order of activations", "g_idx", &[8, 4]),
        ("AWQ", "qzeros", &[4]),
        ("AWQ", "scales", &[16, 2]),
        ("compressed-tensors", "weight_packed", &[8, 16]),
        ("compressed-tensors", "weight_scale", &[2, 16]),
        ("compressed-tensors", "weight_zero_point", &[4]),
        ("compressed-tensors", "weight_shape", &[1, 1, 1]),
        ("NF4", "absmax", &[4, 2]),
        ("NF4", "quant_map", &[17]),
        ("NF4", "p.weight", &[256]),
        ("NF4, nested", "nested_absmax", &[3]),
        ("LLM.int8", "SCB", &[15]),
        ("F8_E4M3, blocks", "scale_inv", &[3, 3]),
        ("I8 with zeros", "zero_point", &[4]),
    ] {
        let resized = |tensor: &mut Tensor| {
            let bytes = shape.iter().product::<usize>() * tensor.element_type.size();
            tensor.shape = shape.into();
            tensor.bytes.resize(bytes, 0);
        };
        let model = changed(scheme, |tensors| resized(named(tensors, table)));
        assert_eq!(names(&model), ["p.bias"], "{scheme}: {table}");
        assert_eq!(reasons(&model).len(), 1, "{scheme}: {table}");
    }
}

#[test]
fn scales_that_may_mean_something_else_are_refused() {
    let scheme = "I8, rows, named after the module";
    let outputs = changed(scheme, |tensors| {
        tensors.push(Tensor::bytes("p.zero_point", &[], &[0]));
    });
    let columns = changed(scheme, |tensors| {
        *named(tensors, "p.scale") = Tensor::floats("p.scale", &[64], &[0.5; 64]);
    });
    for model in [outputs, columns] {
        let reason = "p.weight: the meaning of its I8 codes is not stored";
        assert_eq!(reasons(&model), [reason]);
    }
    let square = dequantised(vec![
        Tensor::bytes("p_quantized", &[4, 4], &[1; 16]),
        Tensor::floats("p_scale", &[4], &[0.5; 4]),
        Tensor::bytes("p_zero_point", &[4], &[0; 4]),
    ]);
    let reason = "p_quantized: its scales may belong to rows or to columns";
    assert_eq!(reasons(&square), [reason]);
}

#[test]
fn groups_that_are_not_there_are_refused() {
    let set = |tensor: &mut Tensor, bytes: [u8; 4]| tensor.bytes[..4].copy_from_slice(&bytes);
    for (group, reason) in [
        (4_i32, "p.qweight: `p.g_idx` refers to group 4 of 4"),
        (-2, "p.qweight: `p.g_idx` refers to group -2 of 4"),
        (
            i32::MIN,
            "p.qweight: `p.g_idx` refers to group -2147483648 of 4",
        ),
    ] {
        let model = changed("GPTQ in order of activations", |tensors| {
            set(named(tensors, "g_idx"), group.to_le_bytes());
        });
        assert_eq!(reasons(&model), [reason]);
    }
}

#[test]
fn a_scale_that_is_not_finite_costs_its_layer() {
    let set = |tensor: &mut Tensor, bytes: [u8; 4]| tensor.bytes[..4].copy_from_slice(&bytes);
    for (scheme, table) in [
        ("F8_E4M3, one scale", "weight_scale"),
        ("F8_E4M3, blocks", "scale_inv"),
        ("LLM.int8", "SCB"),
        ("NF4", "absmax"),
        ("NF4, nested", "nested_absmax"),
        ("GPTQ of 4 bits", "scales"),
        ("AWQ", "scales"),
        ("compressed-tensors", "weight_scale"),
    ] {
        for number in [f32::NAN, f32::INFINITY] {
            let model = changed(scheme, |tensors| {
                set(named(tensors, table), number.to_le_bytes());
                tensors.push(Tensor::floats("other", &[2, 2], &[1.0, 2.0, 3.0, 4.0]));
            });
            let signature = SignatureOptions::new().sign(&model).unwrap();
            let left: Vec<&str> = signature
                .tensors()
                .iter()
                .map(|tensor| tensor.name())
                .collect();
            assert_eq!(left, ["other", "p.bias"], "{scheme}");
            assert_eq!(signature.skipped_layers()[0].layer, "p.weight", "{scheme}");
        }
        let model = changed(scheme, |tensors| set(named(tensors, table), [0; 4]));
        let signature = SignatureOptions::new().sign(&model).unwrap();
        assert!(signature.tensors()[1].profile().zeros() > 0, "{scheme}");
    }
}

#[test]
fn notes_of_bitsandbytes_that_say_nothing_are_refused() {
    for state in [
        r#"{"blocksize":0,"shape":[16,64]}"#,
        r#"{"blocksize":64}"#,
        r#"{"blocksize":64,"shape":[16,65]}"#,
        r#"{"blocksize":64,"shape":[18446744073709551615,2]}"#,
        r#"{"blocksize":64,"shape":[-1]}"#,
        "",
        "nf4",
    ] {
        let model = changed("NF4", |tensors| {
            let tensor = named(tensors, "bitsandbytes__nf4");
            tensor.bytes = state.into();
            tensor.shape = vec![state.len()];
        });
        assert_eq!(names(&model), ["p.bias"], "{state}");
        assert_eq!(reasons(&model).len(), 1, "{state}");
    }
}

#[test]
fn codes_in_the_order_of_some_processor_are_refused() {
    let model = changed("LLM.int8", |tensors| {
        named(tensors, "format").bytes = vec![2]
    });
    assert_eq!(
        reasons(&model),
        ["p.weight: the codes are not in row order"]
    );
}

#[test]
fn modules_in_codes_that_are_not_decoded_are_left_out_whole() {
    for (codes, tables) in [
        ("q_weight", &["q_scale", "q_scale_max", "q_groups"][..]),
        ("trellis", &["suh", "svh"]),
        ("codes", &["codebooks", "scales"]),
        ("Qidxs", &["SU", "SV", "Wscale"]),
        ("W_q", &["scale", "zero"]),
    ] {
        let table =
            |table: &&str| Tensor::floats(&format!("m.up.{table}"), &[64, 32], &[0.5; 2048]);
        let mut tensors = vec![
            Tensor::words(&format!("m.up.{codes}"), &[64, 4], &[7; 256]),
            Tensor::floats("m.up.bias", &[64], &[0.0; 64]),
            Tensor::floats("m.norm.weight", &[64], &[1.0; 64]),
        ];
        tensors.extend(tables.iter().map(table));
        let model = dequantised(tensors);
        assert_eq!(names(&model), ["m.up.bias", "m.norm.weight"], "{codes}");
        let [reason] = &reasons(&model)[..] else {
            panic!("{codes}");
        };
        assert!(
            reason.starts_with(&format!("m.up.{codes}: unsupported ")),
            "{reason}"
        );
    }
    // A table of codes says nothing without what it leads to.
    let model = dequantised(vec![Tensor::floats("m.codes", &[2, 2], &[1.0; 4])]);
    assert_eq!(names(&model), ["m.codes"]);
}
