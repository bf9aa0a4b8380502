//! Paths, names, permissions, files that change, and more models than files may be open.

use core::time::Duration;
use std::fs::{self, File};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use mother::files::find_models;
use mother::safetensors::{SafetensorsModel, set_open_file_limit};
use mother::storage::FileErrorKind;
use mother::weights::{Layer, WeightSource};

use super::{TempFolder, error_of, file_of, read_all};

/// For tests that say how many files are kept open, which is the same for the whole process.
pub(super) fn with_limit(files: usize) -> MutexGuard<'static, ()> {
    static LIMIT: Mutex<()> = Mutex::new(());
    let guard = LIMIT.lock().unwrap_or_else(PoisonError::into_inner);
    set_open_file_limit(files);
    guard
}

/// Sets the time of modification, whose clock may be too coarse to show two changes in a row.
pub(super) fn touch(path: &Path) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(60))
        .unwrap();
}

#[test]
fn a_folder_has_a_name_however_it_is_written() {
    let folder = TempFolder::new();
    folder.write("base/model.safetensors", file_of(&[]));
    fs::create_dir(folder.path().join("base/sub")).unwrap();
    for path in ["base", "base/", "base/.", "base/sub/.."] {
        let model = SafetensorsModel::open(folder.path().join(path)).unwrap();
        assert_eq!(model.name(), "base", "{path}");
    }
    assert!(
        !SafetensorsModel::open("/")
            .unwrap_err()
            .to_string()
            .is_empty()
    );
}

#[test]
fn unreadable_paths_say_what_they_are() {
    let folder = TempFolder::new();
    let open = |name: &str| error_of(SafetensorsModel::open(folder.path().join(name)), name);
    assert!(matches!(
        open("missing.safetensors").kind,
        FileErrorKind::NotFound
    ));
    folder.write("empty.safetensors", "");
    assert!(matches!(
        open("empty.safetensors").kind,
        FileErrorKind::OtherFormat { .. }
    ));
    folder.write("text.safetensors", "some text, not weights");
    assert!(matches!(
        open("text.safetensors").kind,
        FileErrorKind::OtherFormat { .. }
    ));
    fs::create_dir(folder.path().join("folder.safetensors")).unwrap();
    assert!(matches!(
        open("folder.safetensors").kind,
        FileErrorKind::NoModel { .. }
    ));
    fs::create_dir_all(folder.path().join("nested/model.safetensors")).unwrap();
    assert!(matches!(open("nested").kind, FileErrorKind::NotAFile));
    open("empty.safetensors/below");
}

#[cfg(unix)]
#[test]
fn links_pipes_and_permissions_are_told_apart() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    let folder = TempFolder::new();
    let target = folder.write("blobs/1a2b", file_of(&[("w", &[1.0])]));
    let open = |name: &str| SafetensorsModel::open(folder.path().join(name));
    symlink(&target, folder.path().join("good.safetensors")).unwrap();
    symlink("nowhere", folder.path().join("dangling.safetensors")).unwrap();
    symlink("loop.safetensors", folder.path().join("loop.safetensors")).unwrap();
    let _socket = UnixListener::bind(folder.path().join("socket.safetensors")).unwrap();
    assert_eq!(open("good.safetensors").unwrap().name(), "good");
    assert!(matches!(
        open("dangling.safetensors").unwrap_err().kind,
        FileErrorKind::NotFound
    ));
    assert!(matches!(
        open("loop.safetensors").unwrap_err().kind,
        FileErrorKind::Io { .. }
    ));
    assert!(matches!(
        open("socket.safetensors").unwrap_err().kind,
        FileErrorKind::NotAFile
    ));

    fs::set_permissions(&target, fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser may read it all the same.
    if File::open(&target).is_err() {
        let error = error_of(open("good.safetensors"), "good.safetensors");
        assert!(matches!(error.kind, FileErrorKind::PermissionDenied));
    }
}

#[test]
fn a_file_that_changes_is_an_error_that_names_it() {
    for limit in [0, 128] {
        let _limit = with_limit(limit);
        let folder = TempFolder::new();
        let file = file_of(&[("w", &[1.0, 2.0])]);
        let read = |model: &SafetensorsModel<'_>| {
            let error = read_all(model).unwrap_err();
            assert_eq!(error.kind, FileErrorKind::Changed);
            assert_eq!(error.layer.as_deref(), Some("w"));
            assert!(error.to_string().contains("m.safetensors"), "{error}");
        };
        let path = folder.write("m.safetensors", &file);

        let model = SafetensorsModel::open(&path).unwrap();
        assert!(read_all(&model).is_ok());
        folder.write("m.safetensors", file_of(&[("w", &[3.0, 4.0])]));
        touch(&path);
        read(&model);

        let model = SafetensorsModel::open(&path).unwrap();
        folder.write("m.safetensors", &file[..file.len() - 4]);
        read(&model);

        folder.write("m.safetensors", &file);
        let model = SafetensorsModel::open(&path).unwrap();
        folder.write("m.safetensors", [&file[..], &[0]].concat());
        read(&model);
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_is_removed_stays_readable_only_while_it_is_open() {
    let folder = TempFolder::new();
    for (limit, name) in [(0, "anew.safetensors"), (128, "kept.safetensors")] {
        let _limit = with_limit(limit);
        let path = folder.write(name, file_of(&[("w", &[1.0])]));
        let model = SafetensorsModel::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        match read_all(&model) {
            Ok(layers) => assert_eq!((limit, layers[0].1[0]), (128, 1.0)),
            Err(error) => {
                assert_eq!(error.kind, FileErrorKind::Changed);
                assert_eq!((limit, error.file), (0, path.display().to_string()));
            }
        }
    }
}

/// How many files below `folder` this process has open.
#[cfg(target_os = "linux")]
fn open_below(folder: &Path) -> usize {
    fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .filter(|target| target.starts_with(folder))
        .count()
}

#[cfg(target_os = "linux")]
#[test]
fn hundreds_of_models_need_few_open_files() {
    let _limit = with_limit(16);
    let folder = TempFolder::new();
    for index in 0..300_u16 {
        let file = file_of(&[("w", &[f32::from(index)])]);
        folder.write(&format!("{index:03}.safetensors"), file);
    }
    let found = find_models([folder.path()]).unwrap().models;
    let models: Vec<_> = found.iter().map(|found| found.open().unwrap()).collect();
    assert_eq!(models.len(), 300);
    let mut most = 0;
    for _ in 0..2 {
        for (index, model) in models.iter().enumerate() {
            assert_eq!(read_all(model).unwrap()[0].1, [index as f64]);
            most = most.max(open_below(folder.path()));
        }
    }
    // At any one time other tests may have had all the files that may be open.
    assert!((1..=17).contains(&most), "{most}");
    drop(models);
    assert_eq!(open_below(folder.path()), 0);
}

#[test]
fn threads_read_one_model_together() {
    let values: Vec<f32> = (0..50_000).map(|value| value as f32).collect();
    let folder = TempFolder::new();
    let path = folder.write("m.safetensors", file_of(&[("w", &values)]));
    for limit in [0, 128] {
        let _limit = with_limit(limit);
        let model = SafetensorsModel::open(&path).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (model, values) = (&model, &values);
                scope.spawn(move || {
                    let layer = model.layers().next().unwrap().unwrap();
                    for start in (0..40_000).step_by(997).skip(thread) {
                        let mut chunk = vec![0.0_f32; 10_000];
                        layer.read(start, &mut chunk).unwrap();
                        assert_eq!(chunk, values[start..start + 10_000]);
                    }
                });
            }
        });
    }
}
