//! Files of models that descend from one another.

use std::env;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use mother::files::{ModelFile, find_models};

/// A folder of models, removed when it is dropped.
pub(crate) struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What can't be removed now is the system's to clear.
        let _removed = fs::remove_dir_all(&self.0);
    }
}

/// Uniform values of mean 0 and variance 1, from xorshift64.
struct Random(u64);

impl Random {
    fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn value(&mut self) -> f32 {
        3.0_f32.sqrt() * ((self.draw() >> 40) as f32 / (1_u32 << 23) as f32 - 1.0)
    }
}

impl Folder {
    /// Writes random recursive trees of models with matrices of these shapes, every fifteenth model
    /// a root; a step moves a model by a tenth of its norm.
    pub(crate) fn of_models(count: usize, shapes: &[[usize; 2]]) -> Self {
        let name = format!("mother-benchmark-{}-{count}", std::process::id());
        let folder = Self(env::temp_dir().join(name));
        fs::create_dir(&folder.0).unwrap();
        let values: usize = shapes.iter().map(|[rows, columns]| rows * columns).sum();
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for first in (0..count).step_by(15) {
            let mut tree: Vec<Vec<f32>> = Vec::new();
            for model in first..count.min(first + 15) {
                let parent = (!tree.is_empty()).then(|| random.draw() as usize % tree.len());
                let mut step = |scale: f32| scale * random.value();
                let weights: Vec<f32> = match parent {
                    None => (0..values).map(|_| step(0.02)).collect(),
                    Some(parent) => tree[parent].iter().map(|w| w + step(0.002)).collect(),
                };
                folder.write(&format!("{model:05}.safetensors"), shapes, &weights);
                tree.push(weights);
            }
        }
        folder
    }

    fn write(&self, name: &str, shapes: &[[usize; 2]], weights: &[f32]) {
        let mut end = 0;
        let entries = shapes.iter().enumerate().map(|(layer, [rows, columns])| {
            let start = end;
            end += 4 * rows * columns;
            format!(
                r#""layer.{layer:03}.weight":{{"dtype":"F32","shape":[{rows},{columns}],"data_offsets":[{start},{end}]}}"#
            )
        });
        let entries: Vec<String> = entries.collect();
        let header = format!("{{{}}}", entries.join(","));
        let mut file = BufWriter::new(File::create(self.0.join(name)).unwrap());
        file.write_all(&(header.len() as u64).to_le_bytes())
            .unwrap();
        file.write_all(header.as_bytes()).unwrap();
        for value in weights {
            file.write_all(&value.to_le_bytes()).unwrap();
        }
        file.flush().unwrap();
    }

    /// The models, opened.
    pub(crate) fn open(&self) -> Vec<ModelFile> {
        let models = find_models([&self.0]).unwrap().models;
        models.iter().map(|model| model.open().unwrap()).collect()
    }

    /// Reads all bytes once, and returns how many there are.
    pub(crate) fn read(&self) -> usize {
        let mut bytes = Vec::new();
        let mut read = |path: PathBuf| {
            bytes.clear();
            std::io::Read::read_to_end(&mut File::open(path).unwrap(), &mut bytes).unwrap()
        };
        let entries = fs::read_dir(&self.0).unwrap();
        entries.map(|entry| read(entry.unwrap().path())).sum()
    }
}
