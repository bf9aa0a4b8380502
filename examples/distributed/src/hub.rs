//! The models of a hub: files in a folder, or simulated ones.

use mother::files::{ModelPath, find_models};
use mother::signature::{Signature, SignatureOptions};
use mother::weights::Dequantised;

use crate::settings::Source;
use crate::simulation;
use crate::{Failure, note};

/// The models of a hub, by number.
pub(crate) enum Hub {
    Simulated(simulation::Hub),
    Folder(Vec<ModelPath>),
}

impl Hub {
    pub(crate) fn open(source: &Source) -> Result<Self, Failure> {
        match source {
            Source::Simulated(plan) => Ok(Self::Simulated(simulation::Hub::new(*plan))),
            Source::Folder(path) => {
                let found = find_models([path]).map_err(Failure::of)?;
                for skipped in found.skipped.iter().filter(|path| path.reason().is_loss()) {
                    note(&format!("skipped {}: {}", skipped.name(), skipped.reason()));
                }
                Ok(Self::Folder(found.models))
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Simulated(hub) => hub.len(),
            Self::Folder(models) => models.len(),
        }
    }

    pub(crate) fn name(&self, model: usize) -> String {
        match self {
            Self::Simulated(hub) => hub.name(model),
            Self::Folder(models) => models[model].name().into(),
        }
    }

    /// The reader of a model. A simulated model is derived from its parent, so one reader has the whole family.
    pub(crate) fn reader(&self, model: usize, readers: usize) -> usize {
        match self {
            Self::Simulated(hub) => hub.family(model) % readers,
            Self::Folder(_) => model % readers,
        }
    }

    /// The model from whose signature that of a simulated model is derived.
    pub(crate) fn made_from(&self, model: usize) -> Option<String> {
        match self {
            Self::Simulated(hub) => Some(hub.name(hub.parent(model)?)),
            Self::Folder(_) => None,
        }
    }

    /// Reads a model. If it is derived from another, the same reader has read that one before.
    pub(crate) fn sign(
        &self,
        model: usize,
        made_from: Option<&Signature>,
    ) -> Result<Signature, String> {
        match self {
            Self::Simulated(hub) => {
                let signature = hub.signature(model, |_| made_from);
                signature.map_err(|error| error.to_string())
            }
            Self::Folder(models) => {
                let path = &models[model];
                let source = path.open().map_err(|error| error.to_string())?;
                let source = Dequantised::new(source).map_err(|error| error.to_string())?;
                let signature = SignatureOptions::new().sign(&source);
                Ok(signature
                    .map_err(|error| error.to_string())?
                    .with_name(path.name()))
            }
        }
    }
}
