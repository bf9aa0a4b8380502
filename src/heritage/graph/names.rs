//! Finds a model's position by name, without a second copy of the names.

use core::hash::BuildHasher;

use alloc::string::ToString;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::{GraphError, Model};

/// The positions of models, found by name.
///
/// The table holds only positions, so pass the same list of models to every call.
#[derive(Clone, Default)]
pub(super) struct NameIndex {
    table: HashTable<usize>,
    hasher: DefaultHashBuilder,
}

impl NameIndex {
    /// Indexes all models. Fails if two have the same name.
    pub(super) fn new(models: &[Model]) -> Result<Self, GraphError> {
        let hasher = DefaultHashBuilder::default();
        let mut table = HashTable::with_capacity(models.len());
        let hash_at = |&position: &usize| hasher.hash_one(models[position].name());
        for (position, model) in models.iter().enumerate() {
            let same_name = |&other: &usize| models[other].name() == model.name();
            let hash = hash_at(&position);
            if table.find(hash, same_name).is_some() {
                return Err(GraphError::DuplicateName {
                    model: model.name().to_string(),
                });
            }
            table.insert_unique(hash, position, hash_at);
        }
        Ok(Self { table, hasher })
    }

    /// The position of the model with this name.
    pub(super) fn position(&self, models: &[Model], name: &str) -> Option<usize> {
        let hash = self.hasher.hash_one(name);
        self.table
            .find(hash, |&position| models[position].name() == name)
            .copied()
    }
}
