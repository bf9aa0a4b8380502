//! Reading back types whose parts have to fit each other.

/// Writes a type as it is, and passes what is read through its checks.
///
/// The type derives both traits of serde with `serde(remote = "Self")`, which makes them its own functions.
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
