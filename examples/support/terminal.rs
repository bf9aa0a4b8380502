//! The end of a command and its output: results go to stdout, everything else to stderr.

use core::fmt::Display;
use std::io::{ErrorKind, Write as _, stderr, stdout};
use std::process::ExitCode;

/// Why a command ended without a result.
pub(crate) enum Failure {
    /// The arguments are invalid: exit code 2.
    Usage(String),
    /// The work failed: exit code 1.
    Run(String),
}

impl Failure {
    /// Any error, for `map_err`.
    pub(crate) fn run(error: impl Display) -> Self {
        Self::Run(error.to_string())
    }
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        Self::Usage(error.to_string())
    }
}

/// The exit code of a command, after reporting a failure on one line.
pub(crate) fn finish(command: &str, outcome: Result<(), Failure>) -> ExitCode {
    let (message, code) = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => (message, ExitCode::from(2)),
        Err(Failure::Run(message)) => (message, ExitCode::FAILURE),
    };
    note(format!("{command}: {message}"));
    code
}

/// Writes a result to stdout.
///
/// A reader that closes the pipe early, as `head` does, has seen enough.
pub(crate) fn print(result: impl Display) -> Result<(), Failure> {
    let mut stdout = stdout().lock();
    match writeln!(stdout, "{result}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::Run(format!("cannot write the result: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes one line to stderr.
///
/// Names of files and layers may contain line breaks or terminal controls, so control characters are escaped.
pub(crate) fn note(message: impl Display) {
    let mut line = String::new();
    for character in message.to_string().chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    // If stderr is closed, there is nowhere to report it.
    writeln!(stderr(), "{line}").ok();
}
