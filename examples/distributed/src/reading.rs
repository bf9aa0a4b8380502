//! Reading: every worker reads its share of the models, unless their signatures are in its checkpoint.

use core::time::Duration;
use std::collections::HashMap;
use std::thread;
use std::time::Instant;

use mother::signature::Signature;

use crate::checkpoint::Checkpoint;
use crate::hub::Hub;
use crate::settings::Settings;
use crate::{Failure, note};

/// What one worker knows of its models.
pub(crate) struct Share {
    pub(crate) signatures: Vec<Signature>,
    /// How many models were read now, how many signatures were there, and how many models can't be read.
    pub(crate) read: usize,
    pub(crate) kept: usize,
    pub(crate) skipped: usize,
}

/// Reads the shares of all workers of this process, each in a thread of its own.
pub(crate) fn read_all(hub: &Hub, settings: &Settings) -> Result<Vec<Share>, Failure> {
    let made = std::fs::create_dir_all(&settings.checkpoint);
    made.map_err(|error| Failure(format!("{}: {error}", settings.checkpoint.display())))?;
    thread::scope(|scope| {
        let first = settings.process * settings.threads;
        let readers = (first..first + settings.threads)
            .map(|reader| scope.spawn(move || read(hub, reader, settings)));
        let readers: Vec<_> = readers.collect();
        let shares = readers.into_iter().map(|reader| {
            let stopped = |_| Failure("a reader stopped".into());
            reader.join().map_err(stopped)?
        });
        shares.collect()
    })
}

fn read(hub: &Hub, reader: usize, settings: &Settings) -> Result<Share, Failure> {
    let readers = settings.processes * settings.threads;
    let file = settings
        .checkpoint
        .join(format!("reader-{reader}-of-{readers}"));
    let description = format!(
        "{}, signatures {}",
        settings.source.describe(),
        Signature::VERSION
    );
    let (mut checkpoint, signatures) = Checkpoint::open(file, &description)?;
    let names = signatures.iter().enumerate();
    let mut known: HashMap<String, usize> = names
        .map(|(at, signature)| (signature.name().into(), at))
        .collect();
    let mut share = Share {
        read: 0,
        kept: signatures.len(),
        skipped: 0,
        signatures,
    };
    let start = Instant::now();
    for model in (0..hub.len()).filter(|&model| hub.reader(model, readers) == reader) {
        let name = hub.name(model);
        if known.contains_key(&name) {
            continue;
        }
        match hub.sign(model, &share.signatures, &known) {
            Ok(signature) => {
                checkpoint.push(&signature)?;
                known.insert(name, share.signatures.len());
                share.signatures.push(signature);
                share.read += 1;
            }
            Err(error) => {
                note(&format!("skipped {name}: {error}"));
                share.skipped += 1;
            }
        }
        if let Some(rate) = settings.rate {
            let due = Duration::from_secs_f64((share.read + share.skipped) as f64 / rate);
            thread::sleep(due.saturating_sub(start.elapsed()));
        }
    }
    Ok(share)
}
