//! Reading all values of a file in each format, compared with safetensors.

use core::hint::black_box;
use core::time::Duration;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::{env, fs, process};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use mother::gguf::GgufModel;
use mother::npz::NpzModel;
use mother::pytorch::PytorchModel;
use mother::safetensors::SafetensorsModel;
use mother::weights::{Layer, Transposed, WeightSource, element_count};

use crate::zip::archive;

const ROWS: usize = 2048;
const COLUMNS: usize = 2048;
const VALUES: usize = ROWS * COLUMNS;

/// How many values a caller reads at once, unless a layer prefers more.
const CHUNK: usize = 1 << 16;

/// A file that is removed when it is dropped.
struct Written(PathBuf);

impl Written {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path = env::temp_dir().join(format!("mother-benchmark-{}-{name}", process::id()));
        fs::write(&path, bytes).unwrap();
        Self(path)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        // What can't be removed now is the system's to clear.
        let _removed = fs::remove_file(&self.0);
    }
}

fn read_all(model: &impl WeightSource, buffer: &mut [f32]) {
    for layer in model.layers() {
        let layer = layer.unwrap();
        let count = element_count(layer.shape()).unwrap();
        for offset in (0..count).step_by(buffer.len()) {
            let length = buffer.len().min(count - offset);
            let values = &mut buffer[..length];
            layer.read(offset, values).unwrap();
            black_box(values);
        }
    }
}

fn time<M: WeightSource>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    bytes: &[u8],
    open: impl Fn(&Path) -> M,
) {
    let file = Written::new(name, bytes);
    let model = open(&file.0);
    let preferred = model
        .layers()
        .map(|layer| layer.unwrap().preferred_length());
    let mut buffer = vec![0.0; preferred.fold(CHUNK, usize::max)];
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| read_all(&model, &mut buffer))
    });
}

/// Reads the bytes of a file into memory without looking at them.
fn time_bytes(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, bytes: &[u8]) {
    let written = Written::new(name, bytes);
    let mut file = File::open(&written.0).unwrap();
    let mut buffer = vec![0; CHUNK];
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            file.rewind().unwrap();
            while file.read(&mut buffer).unwrap() > 0 {
                black_box(&mut buffer);
            }
        })
    });
}

fn safetensors(data: &[u8]) -> Vec<u8> {
    let length = data.len();
    let header = format!(
        r#"{{"w":{{"dtype":"F32","shape":[{ROWS},{COLUMNS}],"data_offsets":[0,{length}]}}}}"#
    );
    let length = (header.len() as u64).to_le_bytes();
    [&length, header.as_bytes(), data].concat()
}

fn pytorch(data: &[u8], strides: [usize; 2]) -> Vec<u8> {
    let [first, second] = strides;
    let pickle = format!(
        "(dS'w'\nctorch._utils\n_rebuild_tensor_v2\n((S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\n\
         I{VALUES}\ntQI0\n(I{ROWS}\nI{COLUMNS}\nt(I{first}\nI{second}\ntI00\nNtRs."
    );
    archive(&[("a/data.pkl", pickle.as_bytes()), ("a/data/0", data)])
}

fn npz(data: &[u8], is_column_major: &str) -> Vec<u8> {
    let header = format!(
        "{{'descr': '<f4', 'fortran_order': {is_column_major}, 'shape': ({ROWS}, {COLUMNS}), }}"
    );
    let length = (header.len() as u16).to_le_bytes();
    let array = [b"\x93NUMPY\x01\0", &length[..], header.as_bytes(), data].concat();
    archive(&[("w.npy", &array)])
}

/// A file of one tensor of the type with this number; `heads` where rows are q's, in their order.
fn gguf(name: &str, kind: u32, heads: u32, data: &[u8]) -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend([1_u64, 2].iter().flat_map(|count| count.to_le_bytes()));
    bytes.extend(
        [
            text("general.architecture"),
            vec![8, 0, 0, 0],
            text("llama"),
        ]
        .concat(),
    );
    bytes.extend([text("llama.attention.head_count"), vec![4, 0, 0, 0]].concat());
    bytes.extend(heads.to_le_bytes());
    bytes.extend(text(name));
    bytes.extend(2_u32.to_le_bytes());
    bytes.extend(
        [COLUMNS, ROWS]
            .iter()
            .flat_map(|&length| (length as u64).to_le_bytes()),
    );
    bytes.extend(kind.to_le_bytes());
    bytes.extend(0_u64.to_le_bytes());
    bytes.resize(bytes.len().next_multiple_of(32), 0);
    bytes.extend(data);
    bytes
}

pub(crate) fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("formats/read/{ROWS}x{COLUMNS}"));
    group
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(2));
    let data: Vec<u8> = (0..VALUES)
        .flat_map(|index| (index as f32).to_le_bytes())
        .collect();
    time(&mut group, "safetensors", &safetensors(&data), |path| {
        SafetensorsModel::open(path).unwrap()
    });
    for (name, strides) in [("pytorch", [COLUMNS, 1]), ("pytorch-transposed", [1, ROWS])] {
        time(&mut group, name, &pytorch(&data, strides), |path| {
            PytorchModel::open(path).unwrap()
        });
    }
    for (name, is_column_major) in [("npz", "False"), ("npz-fortran", "True")] {
        time(&mut group, name, &npz(&data, is_column_major), |path| {
            NpzModel::open(path).unwrap()
        });
    }
    time(&mut group, "transposed", &safetensors(&data), |path| {
        let stored = SafetensorsModel::open(path).unwrap();
        Transposed::new(stored, ["w".into()])
    });
    // Random bytes will do, since all codes are valid. Each type is timed next to a plain copy of its bytes.
    for (name, tensor, kind, size) in [
        ("gguf", "w.weight", 0, 4 * VALUES),
        ("gguf-rows", "blk.0.attn_q.weight", 0, 4 * VALUES),
        ("gguf-q8_0", "w.weight", 8, VALUES / 32 * 34),
        ("gguf-q4_0", "w.weight", 2, VALUES / 32 * 18),
        ("gguf-q5_1", "w.weight", 7, VALUES / 32 * 24),
        ("gguf-q2_k", "w.weight", 10, VALUES / 256 * 84),
        ("gguf-q3_k", "w.weight", 11, VALUES / 256 * 110),
        ("gguf-q4_k", "w.weight", 12, VALUES / 256 * 144),
        ("gguf-q5_k", "w.weight", 13, VALUES / 256 * 176),
        ("gguf-q6_k", "w.weight", 14, VALUES / 256 * 210),
        ("gguf-iq4_nl", "w.weight", 20, VALUES / 32 * 18),
        ("gguf-iq4_xs", "w.weight", 23, VALUES / 256 * 136),
        ("gguf-mxfp4", "w.weight", 39, VALUES / 32 * 17),
        ("gguf-tq1_0", "w.weight", 34, VALUES / 256 * 54),
        ("gguf-tq2_0", "w.weight", 35, VALUES / 256 * 66),
    ] {
        let bytes = gguf(tensor, kind, 16, &data[..size]);
        time(&mut group, name, &bytes, |path| {
            GgufModel::open(path).unwrap()
        });
        if kind > 0 {
            time_bytes(&mut group, &format!("{name}-bytes"), &data[..size]);
        }
    }
    group.finish();
}
