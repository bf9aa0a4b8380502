//! Measures what hostile files and large collections cost: the peak memory and the outcome of each case, as a
//! Markdown table.
//!
//! `cargo run --release --example hostile -- [--full]`. Every case runs in a process of its own, because the
//! system only reports the peak memory of a whole process (on Linux; elsewhere the table has a `-`).

mod support;

use std::env;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use mother::evidence::{Evidence, EvidenceError, Measurement, SignatureComparison};
use mother::files::{ModelFile, find_models};
use mother::signature::{Signature, SignatureOptions, SkippedModel};
use mother::weights::WeightSource as _;
use support::random::Random;
use support::table;
use support::terminal::{Failure, finish, print};

const HELP: &str = "\
Measure what hostile files and large collections cost.

hostile [--full]

  --full                 100,000 models and files of 8 GiB (takes half an hour) instead of 2,000 models
                         and files of 64 MiB
";

/// One line of the table.
struct Case {
    name: &'static str,
    /// Creates the files in a folder of their own, more or larger ones with `--full`.
    make: fn(&Path, bool) -> std::io::Result<()>,
    /// Reads the files and describes the outcome.
    run: fn(&Path) -> String,
}

const CASES: [Case; 8] = [
    Case {
        name: "a header of 2^63 bytes",
        make: |folder, _| header_only(folder, 1 << 63, 1 << 20),
        run: open,
    },
    Case {
        name: "a header of 1 GB, enough for 10 million tensors",
        make: |folder, _| header_only(folder, 1_000_000_000, 1_100_000_000),
        run: open,
    },
    Case {
        name: "a header with as many tensors as the format allows",
        make: |folder, full| many_tensors(folder, if full { 1_390_000 } else { 50_000 }),
        run: open,
    },
    Case {
        name: "a tensor that claims 1 TB in a file of 1 kB",
        make: |folder, _| {
            let header =
                r#"{"w":{"dtype":"F32","shape":[500000,500000],"data_offsets":[0,1000000000000]}}"#;
            write(&folder.join("claims.safetensors"), header, &[0; 900])
        },
        run: open,
    },
    Case {
        name: "two models much larger than the buffer",
        make: |folder, full| {
            let rows: u64 = if full { 1 << 20 } else { 1 << 13 };
            for name in ["one", "two"] {
                sparse(&folder.join(format!("{name}.safetensors")), rows)?;
            }
            Ok(())
        },
        run: measure,
    },
    Case {
        name: "thousands of small models of one architecture",
        make: |folder, full| small_models(folder, if full { 3000 } else { 500 }, |_| 0),
        run: measure,
    },
    Case {
        name: "models that all have different architectures",
        make: |folder, full| {
            let models = if full { 100_000 } else { 2000 };
            small_models(folder, models, |model| model)
        },
        run: measure,
    },
    Case {
        name: "more models of one architecture than memory for all pairs",
        make: |folder, full| small_models(folder, if full { 100_000 } else { 2000 }, |_| 0),
        run: measure_exactly,
    },
];

fn main() -> ExitCode {
    finish("hostile", run())
}

fn run() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => table_of_cases(false),
        ["--full"] => table_of_cases(true),
        ["--help" | "-h"] => print(HELP.trim_end()),
        ["--case", number, folder] => {
            let case = number
                .parse()
                .ok()
                .and_then(|number: usize| CASES.get(number));
            let case = case.ok_or_else(|| Failure::Usage(format!("unknown case {number}")))?;
            let outcome = (case.run)(Path::new(folder));
            print(format_args!("{}\t{outcome}", peak_memory()))
        }
        _ => Err(Failure::Usage("invalid arguments; see --help".into())),
    }
}

fn table_of_cases(full: bool) -> Result<(), Failure> {
    let head = ["case", "peak memory (MB)", "outcome"];
    let mut rows = vec![head.map(String::from).to_vec()];
    let command = env::current_exe().map_err(Failure::run)?;
    for (number, case) in CASES.iter().enumerate() {
        let folder = TemporaryFolder::new(number)?;
        (case.make)(&folder.0, full).map_err(Failure::run)?;
        let output = Command::new(&command)
            .args(["--case", &number.to_string()])
            .arg(&folder.0)
            .output()
            .map_err(Failure::run)?;
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Failure::Run(format!(
                "{}: {}: {reason}",
                case.name, output.status
            )));
        }
        let line = String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned();
        let (memory, outcome) = line.split_once('\t').unwrap_or(("-", &line));
        // The folder has a different name in every run.
        let outcome = outcome.replace(&format!("{}/", folder.0.display()), "");
        rows.push(vec![case.name.into(), memory.into(), outcome]);
    }
    print(table::align(&rows))
}

/// A folder that is removed when this is dropped.
struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    fn new(number: usize) -> Result<Self, Failure> {
        let name = format!("mother-hostile-{}-{number}", std::process::id());
        let folder = env::temp_dir().join(name);
        fs::create_dir(&folder).map_err(Failure::run)?;
        Ok(Self(folder))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // Whatever can't be removed now is left for the system to clean up.
        let _removed = fs::remove_dir_all(&self.0);
    }
}

/// The peak memory of this process in MB.
fn peak_memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.map_or_else(|| "-".into(), |kilobytes| (kilobytes / 1000).to_string())
}

/// Opens the single file.
fn open(folder: &Path) -> String {
    let opened = find_models([folder]).map(|found| found.models[0].open());
    match opened {
        Ok(Ok(model)) => format!("opened, {} layers", model.layers().count()),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    }
}

/// Opens all files, signs them and compares the signatures.
fn measure(folder: &Path) -> String {
    measure_with(folder, |models| {
        let (mut signatures, mut failed) = (Vec::<Signature>::new(), Vec::new());
        for (model, signature) in models.iter().zip(SignatureOptions::new().sign_all(models)) {
            match signature {
                Ok(signature) => signatures.push(signature),
                Err(failure) => failed.push(SkippedModel {
                    model: model.name().into(),
                    failure,
                }),
            }
        }
        let mut evidence = SignatureComparison::new().compare(&signatures)?;
        evidence.skipped = failed;
        Ok(evidence)
    })
}

/// Opens all files and measures the exact distances.
fn measure_exactly(folder: &Path) -> String {
    measure_with(folder, |models| Measurement::new().measure(models))
}

fn measure_with(
    folder: &Path,
    measure: impl FnOnce(&[ModelFile]) -> Result<Evidence, EvidenceError>,
) -> String {
    let models = match find_models([folder]) {
        Ok(found) => found.models,
        Err(error) => return error.to_string(),
    };
    let found = models.len();
    let models: Vec<_> = models
        .iter()
        .filter_map(|model| model.open().ok())
        .collect();
    match measure(&models) {
        Ok(evidence) => format!(
            "{found} models, {} measured in {} groups, {} left out",
            evidence
                .groups
                .iter()
                .map(|group| group.models().len())
                .sum::<usize>(),
            evidence.groups.len(),
            found - models.len() + evidence.skipped.len(),
        ),
        Err(error) => error.to_string(),
    }
}

/// A file that states the length of its header and has the given length, but is otherwise empty.
fn header_only(folder: &Path, header: u64, length: u64) -> std::io::Result<()> {
    let mut file = File::create(folder.join("header.safetensors"))?;
    file.write_all(&header.to_le_bytes())?;
    file.set_len(length)
}

fn write(path: &Path, header: &str, data: &[u8]) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    file.write_all(data)?;
    file.flush()
}

fn many_tensors(folder: &Path, tensors: usize) -> std::io::Result<()> {
    let entries: Vec<String> = (0..tensors)
        .map(|n| {
            let (start, end) = (4 * n, 4 * n + 4);
            format!(r#""{n}":{{"dtype":"F32","shape":[1,1],"data_offsets":[{start},{end}]}}"#)
        })
        .collect();
    let header = format!("{{{}}}", entries.join(","));
    write(
        &folder.join("many.safetensors"),
        &header,
        &vec![0; 4 * tensors],
    )
}

/// One matrix of 2,048 columns, of which only the first row is stored; the rest are zeros.
fn sparse(path: &Path, rows: u64) -> std::io::Result<()> {
    let bytes = rows * 2048 * 4;
    let header =
        format!(r#"{{"w":{{"dtype":"F32","shape":[{rows},2048],"data_offsets":[0,{bytes}]}}}}"#);
    let mut random = Random::new(path.as_os_str().len() as u64);
    let row: Vec<u8> = (0..2048)
        .flat_map(|_| (random.normal() as f32).to_le_bytes())
        .collect();
    write(path, &header, &row)?;
    let file = File::options().write(true).open(path)?;
    file.set_len(8 + header.len() as u64 + bytes)
}

/// Models of one matrix of 2 by 16 weights each, whose name determines the architecture.
fn small_models(
    folder: &Path,
    models: usize,
    architecture: impl Fn(usize) -> usize,
) -> std::io::Result<()> {
    let mut random = Random::new(1);
    for model in 0..models {
        let name = architecture(model);
        let header =
            format!(r#"{{"w{name}":{{"dtype":"F32","shape":[2,16],"data_offsets":[0,128]}}}}"#);
        let data: Vec<u8> = (0..32)
            .flat_map(|_| (random.uniform() as f32).to_le_bytes())
            .collect();
        write(
            &folder.join(format!("{model:06}.safetensors")),
            &header,
            &data,
        )?;
    }
    Ok(())
}
