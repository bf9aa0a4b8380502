//! The commands as their users meet them: real processes, real files, exit codes and output.

mod adapters;
mod claims;
mod evaluate;
#[cfg(all(unix, feature = "proptest"))]
mod everything;
mod hostile;
mod models;
mod output;
mod usage;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::{env, fs};

use serde_json::Value;

use crate::safetensors::TempFolder;

/// What a command left behind.
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Run {
    /// The JSON of a run that succeeded, whatever it skipped.
    fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// The parents of all models in the JSON, roots with none.
    fn parents(&self) -> Vec<(String, Option<String>)> {
        let json = self.json();
        let models = json["models"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().map(String::from);
        models
            .map(|model| (text(&model["id"]).unwrap(), text(&model["parent"])))
            .collect()
    }

    /// The output up to the seconds, which differ from run to run.
    fn without_seconds(&self) -> &str {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.stdout.split_once(r#","seconds":"#).unwrap().0
    }

    /// A run that failed with this code, nothing on stdout, and one line that says all this last.
    #[track_caller]
    fn assert_failed(&self, code: i32, says: &[&str]) {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        assert_eq!(self.stdout, "");
        let line = self.stderr.lines().last().unwrap();
        for part in says {
            assert!(line.contains(part), "{part:?} is not in {line:?}");
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
    }
}

fn recover<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Run {
    run("recover", arguments)
}

/// Recovers all models of a folder as JSON.
fn recover_folder(folder: &Path, more: &[&str]) -> Run {
    let arguments = [folder.as_os_str(), OsStr::new("--format=json")];
    recover(arguments.into_iter().chain(more.iter().map(OsStr::new)))
}

fn run<A: AsRef<OsStr>>(example: &str, arguments: impl IntoIterator<Item = A>) -> Run {
    let output = (Command::new(executable(example)).args(arguments))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The path of a built example.
fn executable(example: &str) -> PathBuf {
    static EXECUTABLES: OnceLock<Vec<PathBuf>> = OnceLock::new();
    let built = EXECUTABLES.get_or_init(build).iter();
    let mut named = built.filter(|path| path.file_stem() == Some(OsStr::new(example)));
    named.next().unwrap().clone()
}

/// Builds the examples as the tests themselves were built, which a plain `cargo test` has already
/// done; a test that was chosen by name has to do it here.
fn build() -> Vec<PathBuf> {
    let features = [
        (cfg!(feature = "default"), "default"),
        (cfg!(feature = "std"), "std"),
        (cfg!(feature = "rayon"), "rayon"),
        (cfg!(feature = "svd"), "svd"),
        (cfg!(feature = "half"), "half"),
        (cfg!(feature = "safetensors"), "safetensors"),
        (cfg!(feature = "pytorch"), "pytorch"),
        (cfg!(feature = "gguf"), "gguf"),
        (cfg!(feature = "npz"), "npz"),
        (cfg!(feature = "serde"), "serde"),
        (cfg!(feature = "proptest"), "proptest"),
    ];
    let features: Vec<_> = (features.iter())
        .filter_map(|&(on, name)| on.then_some(name))
        .collect();
    let profile = if cfg!(debug_assertions) {
        "test"
    } else {
        "release"
    };
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let cargo = env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
    let output = (Command::new(cargo).current_dir(env!("CARGO_MANIFEST_DIR")))
        .args(["build", "--offline", "--message-format=json"])
        .args([
            "--example=recover",
            "--example=evaluate",
            "--profile",
            profile,
        ])
        .args(["--no-default-features", "--features", &features.join(",")])
        .arg("--target-dir")
        .arg(target)
        .output()
        .unwrap();
    let messages = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{messages}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    (messages.lines())
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| Some(message["executable"].as_str()?.into()))
        .collect()
}

/// A matrix of a model: its name, its sides and its values.
type Matrix = (&'static str, [usize; 2], Vec<f32>);

/// The bytes of a model, as the format's reference implementation writes them.
fn file_of(matrices: &[Matrix]) -> Vec<u8> {
    use ::safetensors::{Dtype, serialize, tensor::TensorView};

    let bytes = |values: &[f32]| -> Vec<u8> {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        bytes.collect()
    };
    let data: Vec<_> = matrices
        .iter()
        .map(|(_, _, values)| bytes(values))
        .collect();
    let views = matrices.iter().zip(&data).map(|((name, sides, _), data)| {
        let view = TensorView::new(Dtype::F32, sides.to_vec(), data).unwrap();
        (*name, view)
    });
    serialize(views, None).unwrap()
}

/// Numbers between -1 and 1 that look random.
fn noise(seed: u64, count: usize) -> impl Iterator<Item = f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count).map(move |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 40) as f32 / (1_u64 << 23) as f32) - 1.0
    })
}

/// Two weight matrices of a foundation model, with heavy tails.
fn foundation(seed: u64, side: usize) -> Vec<Matrix> {
    let layer = |name, seed| {
        let values = noise(seed, side * side).map(|x| x.powi(5)).collect();
        (name, [side, side], values)
    };
    vec![layer("first", 2 * seed), layer("second", 2 * seed + 1)]
}

/// Trains a model a little further, which lightens the tails.
fn fine_tuned(parent: &[Matrix], seed: u64) -> Vec<Matrix> {
    let mut child = parent.to_vec();
    for (_, _, values) in &mut child {
        let change = noise(seed, values.len());
        values
            .iter_mut()
            .zip(change)
            .for_each(|(v, x)| *v += 0.1 * x);
    }
    child
}

/// Writes a family of three, each the child of the one before: `NAME0`, `NAME1` and `NAME2`.
fn write_family(folder: &TempFolder, name: &str, seed: u64, side: usize) -> [PathBuf; 3] {
    let mut model = foundation(seed, side);
    [0, 1, 2].map(|generation| {
        if generation > 0 {
            model = fine_tuned(&model, 100 * seed + generation);
        }
        let file = format!("{name}{generation}.safetensors");
        folder.write(&file, file_of(&model))
    })
}

/// The true parents of such a family.
fn family(name: &str) -> Vec<(String, Option<String>)> {
    let id = |generation: usize| format!("{name}{generation}");
    vec![(id(0), None), (id(1), Some(id(0))), (id(2), Some(id(1)))]
}
