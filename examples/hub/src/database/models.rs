//! The models.

use mother::signature::Signature;
use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use super::{Database, now};
use crate::stated::Stated;

/// The origin of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The embedded zoo.
    Zoo,
    /// The folder of models.
    Folder,
    /// An uploaded signature.
    Upload,
}

impl Origin {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Zoo => "zoo",
            Self::Folder => "folder",
            Self::Upload => "upload",
        }
    }
}

/// A model without its signature.
#[derive(Clone, Debug)]
pub(crate) struct ModelRow {
    pub(crate) id: String,
    pub(crate) origin: Origin,
    pub(crate) path: Option<String>,
    pub(crate) stated: Stated,
    pub(crate) added: i64,
}

impl ModelRow {
    pub(crate) fn new(id: &str, origin: Origin, path: Option<String>, stated: Stated) -> Self {
        Self {
            id: id.into(),
            origin,
            path,
            stated,
            added: now(),
        }
    }
}

/// The outcome of adding a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    Created,
    /// It already exists with the same signature.
    Same,
    /// A different model with this name exists.
    Exists,
    /// There is an unfinished job for this name.
    Job(i64),
    /// The hub is full.
    Full,
}

impl Database {
    /// The models without their signatures, sorted by id.
    pub(crate) fn models(&self) -> rusqlite::Result<Vec<ModelRow>> {
        let query = "SELECT id, origin, path, stated, added FROM models ORDER BY id";
        let mut query = self.connection.prepare(query)?;
        let rows = query.query_map([], model)?;
        rows.collect()
    }

    /// The bytes of a model's signature.
    pub(crate) fn signature(&self, id: &str) -> rusqlite::Result<Option<Vec<u8>>> {
        let query = "SELECT signature FROM models WHERE id = ?1";
        let mut query = self.connection.prepare_cached(query)?;
        query.query_row([id], |row| row.get(0)).optional()
    }

    /// Adds a model, unless there is a model or an unfinished job with its name.
    pub(crate) fn put_model(
        &mut self,
        row: &ModelRow,
        signature: &Signature,
        most: usize,
    ) -> rusqlite::Result<Put> {
        let bytes = signature.to_bytes();
        let transaction = self.connection.transaction()?;
        let query = "SELECT signature FROM models WHERE id = ?1";
        let there: Option<Vec<u8>> =
            (transaction.query_row(query, [&row.id], |row| row.get(0))).optional()?;
        if let Some(there) = there {
            return Ok(if there == bytes {
                Put::Same
            } else {
                Put::Exists
            });
        }
        let query = "SELECT number FROM jobs WHERE model = ?1 AND state IN ('queued', 'running')";
        let job = (transaction.query_row(query, [&row.id], |row| row.get(0))).optional()?;
        if let Some(job) = job {
            return Ok(Put::Job(job));
        }
        if count(&transaction)? >= most {
            return Ok(Put::Full);
        }
        insert(&transaction, row, &bytes)?;
        transaction.commit()?;
        Ok(Put::Created)
    }

    /// Adds the embedded models, once in the life of the database.
    pub(crate) fn put_zoo(&mut self, models: &[(ModelRow, Signature)]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        for (row, signature) in models {
            insert(&transaction, row, &signature.to_bytes())?;
        }
        transaction.execute(
            "INSERT INTO settings (name, value) VALUES ('zoo', 'added')",
            [],
        )?;
        transaction.commit()
    }

    /// Whether the embedded models were added, even if some have been removed since.
    pub(crate) fn had_zoo(&self) -> rusqlite::Result<bool> {
        Ok(self.setting("zoo")?.is_some())
    }

    /// Removes a model. Returns whether it existed.
    pub(crate) fn remove_model(&self, id: &str) -> rusqlite::Result<bool> {
        let change = "DELETE FROM models WHERE id = ?1";
        Ok(self.connection.execute(change, [id])? > 0)
    }
}

pub(super) fn count(transaction: &Transaction<'_>) -> rusqlite::Result<usize> {
    transaction.query_row("SELECT count(*) FROM models", [], |row| row.get(0))
}

pub(super) fn insert(
    transaction: &Transaction<'_>,
    row: &ModelRow,
    signature: &[u8],
) -> rusqlite::Result<usize> {
    transaction.execute(
        "INSERT INTO models (id, signature, origin, path, stated, added) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            row.id,
            signature,
            row.origin.name(),
            row.path,
            row.stated.to_json(),
            row.added
        ],
    )
}

fn model(row: &Row<'_>) -> rusqlite::Result<ModelRow> {
    let origin: String = row.get(1)?;
    let stated: String = row.get(3)?;
    Ok(ModelRow {
        id: row.get(0)?,
        origin: match origin.as_str() {
            "zoo" => Origin::Zoo,
            "folder" => Origin::Folder,
            _ => Origin::Upload,
        },
        path: row.get(2)?,
        stated: Stated::from_json(&stated),
        added: row.get(4)?,
    })
}
