//! Adapters: models stored as a small change to another model, which must be in the hub.

use mother::adapters::{AdaptedModel, Adapter, AdapterConfig, AdapterError, models_named};
use mother::files::ModelFile;
use mother::weights::Dequantised;

use crate::database::Origin;
use crate::error::{Code, HubError};
use crate::folder::{Folder, FoundModel};
use crate::hub::Hub;
use crate::stated::AdapterOf;

/// The maximum number of models with the name of a base that are tried.
const MOST_BASES: usize = 8;

/// A model's own tensors, as the weights that it computes with.
pub(crate) type Stored = Dequantised<ModelFile>;

/// An adapter applied to its base.
pub(crate) struct Placed {
    pub(crate) model: AdaptedModel<Stored, Stored>,
    pub(crate) of: AdapterOf,
    /// The base's files.
    pub(crate) base: FoundModel,
}

/// Applies an adapter to its base: the model with the stated name, or with the name in its configuration.
pub(crate) fn place(
    hub: &Hub,
    folder: &Folder,
    (found, source): (&FoundModel, Stored),
    stated: Option<&String>,
) -> Result<Placed, HubError> {
    let config = match found.adapter_config() {
        Some(json) => AdapterConfig::from_json(&json).map_err(unusable)?,
        None => AdapterConfig::new(),
    };
    let adapter = Adapter::read(source, config).map_err(unusable)?;
    let named = stated.map(String::as_str).or(adapter.config().base());
    let Some(named) = named.map(String::from) else {
        return Err(refused(
            "the adapter does not name its base; state its base_model",
        ));
    };
    let ids = hub.catalogue.ids();
    let called_so = models_named(&named, ids.iter().map(String::as_str));
    let mut misfit = None;
    for &at in called_so.iter().take(MOST_BASES) {
        let known = hub.catalogue.get(&ids[at]);
        let row = known.as_ref().map(|known| &known.row);
        let Some(row) = row.filter(|row| row.origin == Origin::Folder) else {
            continue;
        };
        let path = row.path.as_deref().unwrap_or_default();
        let base = folder.find(path, hub.config.model_bytes)?;
        let opened = base.open()?;
        match adapter.fits(&opened) {
            Ok(()) => {
                let of = AdapterOf {
                    base: row.id.clone(),
                    rank: adapter.rank(),
                };
                let model = adapter.applied_to(opened).map_err(unusable)?;
                return Ok(Placed { model, of, base });
            }
            Err(error) => misfit = Some((row.id.clone(), error)),
        }
    }
    Err(match misfit {
        Some((base, error)) => refused(&format!("the adapter does not fit {base}: {error}")),
        None => refused(&format!(
            "the adapter's base {named} has not been read from this hub's folder; add it first"
        )),
    })
}

fn refused(message: &str) -> HubError {
    HubError::new(Code::Adapter, message)
}

fn unusable(error: AdapterError) -> HubError {
    refused(&format!("unusable adapter: {error}"))
}
