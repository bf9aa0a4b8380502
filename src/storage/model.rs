//! What the models of all formats have in common: parts that were read and checked, and their layers.

use alloc::vec::Vec;
use std::io;

use super::{Bytes, FileError, Storage};
use crate::Scalar;
use crate::weights::{ElementType, SkippedLayer};

/// What a header says about a layer.
pub(crate) struct About<'a> {
    pub(crate) name: &'a str,
    pub(crate) shape: &'a [usize],
    pub(crate) element_type: ElementType,
    pub(crate) elements: usize,
}

/// A file whose header has been read and checked.
pub(crate) trait ModelPart {
    /// A layer that can be read.
    type Stored;

    fn storage(&self) -> &Storage<'_>;

    fn layers(&self) -> &[Self::Stored];

    fn skipped(&self) -> &[SkippedLayer];

    /// The layers that can be read, and those that can't.
    fn lists(&mut self) -> (&mut Vec<Self::Stored>, &mut Vec<SkippedLayer>);

    fn about<'a>(&'a self, layer: &'a Self::Stored) -> About<'a>;

    /// The smallest number of values worth reading at once.
    fn preferred_length(&self, _: &Self::Stored) -> usize {
        1
    }

    /// Fills `values`, of which there are some, with the layer's values from flat index `offset` on.
    fn read_bytes<T: Scalar>(
        &self,
        bytes: Bytes<'_>,
        layer: &Self::Stored,
        offset: usize,
        values: &mut [T],
    ) -> io::Result<()>;

    /// Fills `values` with the layer's values from flat index `offset` on.
    fn read<T: Scalar>(
        &self,
        layer: &Self::Stored,
        offset: usize,
        values: &mut [T],
    ) -> Result<(), FileError> {
        let (storage, about) = (self.storage(), self.about(layer));
        storage.check_range(about.name, about.elements, [offset, values.len()])?;
        if values.is_empty() {
            return Ok(());
        }
        storage.read_layer(about.name, |bytes| {
            self.read_bytes(bytes, layer, offset, values)
        })
    }
}

/// Defines a model of a format and its layers, over parts of that format. `$read` reads a part; the attributes
/// of `from_bytes` are its examples.
macro_rules! file_model {
    (
        $(#[$about:meta])* $model:ident, $layer:ident: $part:ident, $stored:ident;
        $(#[$example:meta])* from_bytes: $read:path
    ) => {
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
                let skipped = (parts.iter_mut())
                    .flat_map(|part| core::mem::take(part.lists().1))
                    .collect();
                Self {
                    name,
                    parts,
                    skipped,
                    interleaved_groups: None,
                }
            }

            /// Creates a model from the bytes of a whole file, which are borrowed, not copied.
            ///
            /// # Errors
            ///
            /// When the bytes are not such a file: see [`FileError`], whose `file` is the name given here.
            ///
            /// # Complexity
            ///
            /// The same as for [`open`](Self::open).
            ///
            /// # Examples
            ///
            $(#[$example])*
            pub fn from_bytes(
                name: impl Into<alloc::string::String>,
                bytes: &'a [u8],
            ) -> Result<Self, $crate::storage::FileError> {
                let name = name.into();
                let part = $read($crate::storage::Storage::from_bytes(&name, bytes))?;
                Ok(Self::new(name, [part].into()))
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
