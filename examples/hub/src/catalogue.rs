//! The catalogue of models: the database without signatures, for readers that never wait.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::database::ModelRow;

/// A model in the hub.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) row: ModelRow,
    /// The id in lower case, for searching.
    lower: String,
    /// The number of the change that added it.
    pub(crate) change: u64,
}

/// All models by id.
#[derive(Default)]
pub(crate) struct Catalogue {
    models: RwLock<BTreeMap<String, Arc<Known>>>,
}

/// A page of a list of models.
pub(crate) struct Listed {
    pub(crate) models: Vec<Arc<Known>>,
    /// The total number of matches.
    pub(crate) matches: usize,
    /// The number of models.
    pub(crate) total: usize,
}

impl Catalogue {
    pub(crate) fn get(&self, id: &str) -> Option<Arc<Known>> {
        self.read().get(id).cloned()
    }

    pub(crate) fn len(&self) -> usize {
        self.read().len()
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.read().keys().cloned().collect()
    }

    /// The models after some id whose ids contain a text, ignoring case.
    pub(crate) fn list(&self, text: &str, after: &str, most: usize) -> Listed {
        let text = text.to_lowercase();
        let models = self.read();
        let matching = |known: &Known| text.is_empty() || known.lower.contains(&text);
        let after = (Bound::Excluded(after), Bound::Unbounded);
        let found = models.range::<str, _>(after).map(|(_, known)| known);
        Listed {
            models: found
                .filter(|known| matching(known))
                .take(most)
                .cloned()
                .collect(),
            matches: models.values().filter(|known| matching(known)).count(),
            total: models.len(),
        }
    }

    pub(crate) fn insert(&self, row: ModelRow, change: u64) {
        let (id, lower) = (row.id.clone(), row.id.to_lowercase());
        let known = Arc::new(Known { row, lower, change });
        self.write().insert(id, known);
    }

    pub(crate) fn remove(&self, id: &str) {
        self.write().remove(id);
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Arc<Known>>> {
        self.models.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Arc<Known>>> {
        self.models.write().unwrap_or_else(PoisonError::into_inner)
    }
}
