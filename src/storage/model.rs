//! What the models of all formats have in common: parts that were read and checked, and their layers.

use alloc::vec::Vec;

use super::FileError;
use crate::Scalar;
use crate::weights::{ElementType, SkippedLayer};

/// What a header says about a layer.
pub(crate) struct About<'a> {
    pub(crate) name: &'a str,
    pub(crate) shape: &'a [usize],
    pub(crate) element_type: ElementType,
}

/// A file whose header has been read and checked.
pub(crate) trait ModelPart {
    /// A layer that can be read.
    type Stored;

    fn layers(&self) -> &[Self::Stored];

    /// Its layers that can't be read.
    fn take_skipped(&mut self) -> Vec<SkippedLayer>;

    fn about<'a>(&'a self, layer: &'a Self::Stored) -> About<'a>;

    /// The smallest number of values worth reading at once.
    fn preferred_length(&self, _: &Self::Stored) -> usize {
        1
    }

    /// Fills `values` with the layer's values from flat index `offset` on.
    fn read<T: Scalar>(
        &self,
        layer: &Self::Stored,
        offset: usize,
        values: &mut [T],
    ) -> Result<(), FileError>;
}

/// Defines a model of a format and its layers, over parts of that format.
macro_rules! file_model {
    ($(#[$about:meta])* $model:ident, $layer:ident: $part:ident, $stored:ident) => {
        $(#[$about])*
        #[derive(Debug)]
        pub struct $model<'a> {
            name: alloc::string::String,
            parts: alloc::vec::Vec<$part<'a>>,
            skipped: alloc::vec::Vec<$crate::weights::SkippedLayer>,
            interleaved_groups: Option<usize>,
        }

        impl<'a> $model<'a> {
            fn new(
                name: alloc::string::String,
                mut parts: alloc::vec::Vec<$part<'a>>,
            ) -> Self {
                use $crate::storage::model::ModelPart;
                let skipped = parts.iter_mut().flat_map(ModelPart::take_skipped).collect();
                Self {
                    name,
                    parts,
                    skipped,
                    interleaved_groups: None,
                }
            }

            /// The same model under another name.
            #[must_use]
            pub fn with_name(mut self, name: impl Into<alloc::string::String>) -> Self {
                self.name = name.into();
                self
            }

            /// Declares that fused projections list their rows by groups of heads; see
            /// [`WeightSource::interleaved_groups`]($crate::weights::WeightSource::interleaved_groups).
            #[must_use]
            pub const fn with_interleaved_groups(mut self, groups: usize) -> Self {
                self.interleaved_groups = Some(groups);
                self
            }
        }

        impl $crate::weights::WeightSource for $model<'_> {
            type Error = $crate::storage::FileError;
            type Layer<'b>
                = $layer<'b>
            where
                Self: 'b;

            fn name(&self) -> &str {
                &self.name
            }

            fn layers(&self) -> impl Iterator<Item = Result<$layer<'_>, Self::Error>> {
                use $crate::storage::model::ModelPart;
                self.parts.iter().flat_map(|part| {
                    let layers = part.layers().iter();
                    layers.map(move |layer| Ok($layer { part, layer }))
                })
            }

            fn skipped_layers(&self) -> &[$crate::weights::SkippedLayer] {
                &self.skipped
            }

            fn interleaved_groups(&self) -> Option<usize> {
                self.interleaved_groups
            }
        }

        #[doc = concat!("A layer of a [`", stringify!($model), "`]: two references.")]
        ///
        /// Its values are never borrowed as a slice.
        #[derive(Clone, Copy)]
        pub struct $layer<'a> {
            part: &'a $part<'a>,
            layer: &'a $stored,
        }

        impl core::fmt::Debug for $layer<'_> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                use $crate::weights::Layer;
                f.debug_struct(stringify!($layer))
                    .field("name", &self.name())
                    .field("shape", &self.shape())
                    .field("element_type", &self.element_type())
                    .finish()
            }
        }

        impl $crate::weights::Layer for $layer<'_> {
            type Error = $crate::storage::FileError;

            fn name(&self) -> &str {
                $crate::storage::model::ModelPart::about(self.part, self.layer).name
            }

            fn shape(&self) -> &[usize] {
                $crate::storage::model::ModelPart::about(self.part, self.layer).shape
            }

            fn element_type(&self) -> $crate::weights::ElementType {
                $crate::storage::model::ModelPart::about(self.part, self.layer).element_type
            }

            fn preferred_length(&self) -> usize {
                $crate::storage::model::ModelPart::preferred_length(self.part, self.layer)
            }

            fn read<T: $crate::Scalar>(
                &self,
                offset: usize,
                values: &mut [T],
            ) -> Result<(), Self::Error> {
                $crate::storage::model::ModelPart::read(self.part, self.layer, offset, values)
            }
        }
    };
}

pub(crate) use file_model;
