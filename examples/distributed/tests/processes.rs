//! Real processes: whatever their number, and whichever of them is killed, the graph is that of one index.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use core::time::Duration;
use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Instant;

const MODELS: &str = "600";

/// Anything that takes longer than this will never end, on any machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// A separate folder for each test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mother-{}-{test}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// A running process, which doesn't outlive its test.
struct Process(Child);

impl Process {
    fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    /// Waits for the process, and returns its output.
    fn succeed(mut self) -> String {
        let mut said = String::new();
        let mut stderr = self.0.stderr.take().unwrap();
        stderr.read_to_string(&mut said).unwrap();
        assert!(self.0.wait().unwrap().success(), "{said}");
        said
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        assert!(!self.0.wait().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The command with its signatures in one folder, on a small simulated hub.
fn command(checkpoint: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mother-distributed"));
    command
        .args(["--models", MODELS, "--checkpoint"])
        .arg(checkpoint);
    command
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// One of two processes, which meet at the addresses in a file.
fn one_of_two(checkpoint: &Path, hosts: &Path, process: &str, arguments: &[&str]) -> Command {
    let mut command = command(checkpoint, arguments);
    command.args(["-n", "2", "-p", process, "-h"]).arg(hosts);
    command
}

/// A file of addresses that are free.
fn hosts(folder: &Folder) -> PathBuf {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let addresses = listeners.map(|listener| listener.local_addr().unwrap().to_string());
    let path = folder.file("hosts");
    fs::write(&path, addresses.join("\n")).unwrap();
    path
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The graph that one process with one index finds.
fn expected(folder: &Folder) -> Vec<u8> {
    let out = folder.file("expected.json");
    let mut index = command(&folder.file("expected"), &["--index", "--out"]);
    Process::start(index.arg(&out)).succeed();
    fs::read(out).unwrap()
}

/// The number before these words.
fn number(said: &str, words: &str) -> usize {
    let before = said.split(words).next().unwrap();
    let digits = before.rsplit(|c: char| !c.is_ascii_digit()).next();
    digits
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_else(|| panic!("{words}: {said}"))
}

fn read_and_kept(said: &str) -> (usize, usize) {
    (
        number(said, " models, "),
        number(said, " were in the checkpoint"),
    )
}

/// Runs both processes to the end and returns their output.
fn run_both(checkpoint: &Path, hosts: &Path, arguments: &[&str]) -> [String; 2] {
    let start = |process| Process::start(&mut one_of_two(checkpoint, hosts, process, arguments));
    [start("0"), start("1")].map(Process::succeed)
}

#[test]
fn processes_find_what_one_index_finds() {
    let folder = Folder::new("equal");
    let expected = expected(&folder);
    let graph = |checkpoint: &str| fs::read(folder.file(checkpoint).join("graph.json")).unwrap();
    Process::start(&mut command(&folder.file("one"), &[])).succeed();
    assert!(graph("one") == expected, "one process");
    let hosts = hosts(&folder);
    let said = run_both(&folder.file("two"), &hosts, &[]);
    assert!(graph("two") == expected, "two processes");
    let [first, second] = said.map(|said| read_and_kept(&said));
    assert_eq!((first.0 + second.0, first.1 + second.1), (600, 0));
    assert!(first.0 > 150 && second.0 > 150, "{first:?} {second:?}");
    run_both(&folder.file("four"), &hosts, &["-w", "2"]);
    assert!(graph("four") == expected, "two processes of two threads");
}

#[test]
fn a_process_killed_while_it_reads_goes_on_where_it_was() {
    let folder = Folder::new("killed");
    let (checkpoint, hosts) = (folder.file("two"), hosts(&folder));
    let start = |process, arguments: &[&str]| {
        Process::start(&mut one_of_two(&checkpoint, &hosts, process, arguments))
    };
    let first = start("0", &[]);
    let second = start("1", &["--reads-per-second", "20"]);
    let kept = checkpoint.join("reader-1-of-2");
    let start_of_reading = Instant::now();
    while fs::metadata(&kept).map_or(0, |file| file.len()) < 100_000 {
        assert!(start_of_reading.elapsed() < PATIENCE, "nothing was read");
        thread::sleep(Duration::from_millis(5));
    }
    second.kill();
    // As if it had been killed while it wrote.
    let mut file = OpenOptions::new().append(true).open(&kept).unwrap();
    file.write_all(&[7, 1, 0, 0, 0, 0, 0, 0, 123]).unwrap();
    drop(file);

    let said = [first, start("1", &[])].map(Process::succeed);
    let [(of_first, _), (read, kept)] = said.map(|said| read_and_kept(&said));
    assert_eq!(of_first + read + kept, 600);
    assert!(
        kept > 10 && read > 10,
        "{kept} were there, {read} were read"
    );
    assert!(fs::read(checkpoint.join("graph.json")).unwrap() == expected(&folder));
}

#[test]
fn a_process_killed_while_all_work_costs_no_reading() {
    let folder = Folder::new("lost");
    let (checkpoint, hosts) = (folder.file("two"), hosts(&folder));
    let mut first = Process::start(&mut one_of_two(&checkpoint, &hosts, "0", &[]));
    let mut second = one_of_two(&checkpoint, &hosts, "1", &["-r"]);
    let mut second = Process::start(second.stdout(Stdio::piped()));
    let reports = BufReader::new(second.0.stdout.take().unwrap());
    let connected = |line: &str| line.contains("connection to worker 0");
    assert!(reports.lines().any(|line| connected(&line.unwrap())));
    drop(second);
    // The other process doesn't wait for ever; it may already have been done.
    let killed = Instant::now();
    while first.0.try_wait().unwrap().is_none() {
        assert!(
            killed.elapsed() < PATIENCE,
            "the other process waits for ever"
        );
        thread::sleep(Duration::from_millis(20));
    }
    let said = run_both(&checkpoint, &hosts, &[]);
    let [first, second] = said.map(|said| read_and_kept(&said));
    assert_eq!((first.0 + second.0, first.1 + second.1), (0, 600));
    assert!(fs::read(checkpoint.join("graph.json")).unwrap() == expected(&folder));
}

#[test]
fn files_are_read_as_well() {
    let folder = Folder::new("files");
    let zoo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../zoo");
    let read = |checkpoint: &str, arguments: &[&str]| {
        let mut command = command(&folder.file(checkpoint), arguments);
        let said = Process::start(command.arg("--folder").arg(&zoo)).succeed();
        assert_eq!(read_and_kept(&said), (21, 0));
        fs::read(folder.file(checkpoint).join("graph.json")).unwrap()
    };
    assert!(read("index", &["--index"]) == read("three", &["-w", "3"]));
}

#[test]
fn invalid_arguments_are_rejected() {
    let folder = Folder::new("refused");
    let refused = |arguments: &[&str]| {
        let output = command(&folder.file("kept"), arguments).output().unwrap();
        assert!(!output.status.success());
        said(&output)
    };
    Process::start(&mut command(&folder.file("kept"), &[])).succeed();
    let other_hub = refused(&["--seed", "1"]);
    assert!(
        other_hub.contains("signatures of other models"),
        "{other_hub}"
    );
    assert!(refused(&["-n", "2", "-p", "2"]).contains("from 0"));
    assert!(refused(&["-n", "2", "--index"]).contains("one process"));
    assert!(refused(&["--numbers", "1000"]).contains("power of two"));
    assert!(refused(&["--folder", "/no/such/folder"]).contains("/no/such/folder"));
}
