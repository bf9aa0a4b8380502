//! Deserialisation of types whose parts must be consistent.

/// Serialises a type as it is, and checks every deserialised value.
///
/// The type derives both of serde's traits with `serde(remote = "Self")`, which turns them into inherent
/// functions.
macro_rules! deserialise_checked {
    ($type:ty, |$read:ident| $checked:expr) => {
        #[cfg(feature = "serde")]
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                Self::serialize(self, serializer)
            }
        }

        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let $read = Self::deserialize(deserializer)?;
                $checked.map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use deserialise_checked;
