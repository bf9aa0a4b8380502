//! Reading: every worker reads its share of the models, unless their signatures are in its checkpoint.
//!
//! Until the shards load them, signatures exist only there.

use core::time::Duration;
use std::collections::HashMap;
use std::thread;
use std::time::Instant;

use crate::hub::Hub;
use crate::settings::Settings;
use crate::{Failure, note};

/// The numbers of models read now, of signatures already stored, and of models that can't be read.
#[derive(Default)]
pub(crate) struct Share {
    pub(crate) read: usize,
    pub(crate) kept: usize,
    pub(crate) skipped: usize,
}

/// Reads the shares of all workers of this process, each in a thread of its own.
pub(crate) fn read_all(hub: &Hub, settings: &Settings) -> Result<Vec<Share>, Failure> {
    let folder = &settings.checkpoints.folder;
    let made = std::fs::create_dir_all(folder);
    made.map_err(|error| Failure(format!("{}: {error}", folder.display())))?;
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
    // The positions of the signatures of all models read.
    let mut known: HashMap<String, u64> = HashMap::new();
    let mut checkpoint = settings.checkpoints.open(reader, |place, signature| {
        known.insert(signature.name().into(), place);
        Ok(())
    })?;
    let mut share = Share {
        kept: known.len(),
        ..Share::default()
    };
    let readers = settings.checkpoints.readers;
    let start = Instant::now();
    for model in (0..hub.len()).filter(|&model| hub.reader(model, readers) == reader) {
        let name = hub.name(model);
        if known.contains_key(&name) {
            continue;
        }
        let parent = hub.made_from(model);
        let parent = match parent.and_then(|name| known.get(&name)) {
            Some(&place) => Some(checkpoint.read(place)?),
            None => None,
        };
        match hub.sign(model, parent.as_ref()) {
            Ok(signature) => {
                known.insert(name, checkpoint.push(&signature)?);
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
