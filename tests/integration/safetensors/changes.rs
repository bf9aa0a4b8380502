//! Files that change, shrink, are replaced or removed while a measurement reads them.

use core::ops::ControlFlow;
use std::fs;
use std::path::{Path, PathBuf};

use mother::evidence::{Evidence, Measurement, Score};
use mother::progress::Progress;
use mother::safetensors::SafetensorsModel;
use mother::signature::ModelFailure;

use super::files::{touch, with_limit};
use super::{TempFolder, file_with};
use crate::noise::noise;

fn file(seed: u64) -> Vec<u8> {
    let header = r#"{"a":{"dtype":"F32","shape":[4,8],"data_offsets":[0,128]},
                     "b":{"dtype":"F32","shape":[2,8],"data_offsets":[128,192]}}"#;
    let values = noise(seed, 48);
    let data: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    file_with(header, &data)
}

/// What happens to a file.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    Rewritten,
    Truncated,
    Extended,
    Replaced,
    Removed,
}

impl Change {
    const ALL: [Self; 5] = [
        Self::Rewritten,
        Self::Truncated,
        Self::Extended,
        Self::Replaced,
        Self::Removed,
    ];

    fn happen(self, path: &Path) {
        match self {
            Self::Rewritten => {
                fs::write(path, file(9)).unwrap();
                touch(path);
            }
            Self::Truncated => fs::write(path, &file(1)[..200]).unwrap(),
            Self::Extended => fs::write(path, [file(1), vec![0]].concat()).unwrap(),
            // The same length and the same time, but another file.
            Self::Replaced => {
                let modified = fs::metadata(path).unwrap().modified().unwrap();
                let other = path.with_extension("other");
                fs::write(&other, file(9)).unwrap();
                let handle = fs::File::options().write(true).open(&other).unwrap();
                handle.set_modified(modified).unwrap();
                fs::rename(&other, path).unwrap();
            }
            Self::Removed => fs::remove_file(path).unwrap(),
        }
    }
}

struct Family {
    _folder: TempFolder,
    paths: Vec<PathBuf>,
}

impl Family {
    fn new() -> Self {
        let folder = TempFolder::new();
        let write = |seed| folder.write(&format!("{seed}.safetensors"), file(seed));
        let paths = (1..4).map(write).collect();
        Self {
            _folder: folder,
            paths,
        }
    }

    /// Measures while the second file changes at this step; also how many steps there were.
    fn measured(&self, measurement: &Measurement, change: Change, at: usize) -> (Evidence, usize) {
        let models: Vec<_> = (self.paths.iter())
            .map(|path| SafetensorsModel::open(path).unwrap())
            .collect();
        let mut steps = 0;
        let mut observer = |_: Progress| {
            if steps == at {
                change.happen(&self.paths[1]);
            }
            steps += 1;
            ControlFlow::Continue(())
        };
        let evidence = measurement
            .measure_observed(&models, &mut observer)
            .unwrap();
        (evidence, steps)
    }
}

fn others() -> [SafetensorsModel<'static>; 2] {
    let open = |seed| {
        let bytes: &'static [u8] = Vec::leak(file(seed));
        SafetensorsModel::from_bytes(seed.to_string(), bytes).unwrap()
    };
    [open(1), open(3)]
}

#[test]
fn a_change_at_any_step_is_seen_or_came_after_the_last_read() {
    let once = Measurement::new().with_buffer_size(0);
    let mut seen = 0;
    for measurement in [once.clone().with_score(Score::Entropy), once] {
        let (whole, steps) = Family::new().measured(&measurement, Change::Removed, usize::MAX);
        assert!(whole.skipped.is_empty());
        let without = measurement.measure(&others()).unwrap();
        for change in Change::ALL {
            for limit in [0, 128] {
                let _limit = with_limit(limit);
                for at in 0..steps {
                    let (evidence, _) = Family::new().measured(&measurement, change, at);
                    let kept_open =
                        limit > 0 && matches!(change, Change::Replaced | Change::Removed);
                    let [lost] = &evidence.skipped[..] else {
                        // The file that was opened is still there, or it was read to its end, after
                        // which there are five more steps.
                        assert!(kept_open || at + 5 >= steps, "{change:?} {at} of {steps}");
                        assert_eq!(evidence, whole);
                        continue;
                    };
                    assert_eq!(lost.model, "2");
                    match &lost.failure {
                        ModelFailure::Reading { reason, .. } => {
                            let reason = reason.to_string();
                            assert!(reason.contains("changed"), "{reason}");
                            assert!(reason.contains("2.safetensors"), "{reason}");
                        }
                        failure => panic!("{failure}"),
                    }
                    assert_eq!(evidence.groups, without.groups);
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 100, "{seen}");
}
