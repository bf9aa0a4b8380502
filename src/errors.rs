//! Enums defined together with the messages or names of their variants.

/// Defines an enum. Each variant has a message. One that holds another value may show that value's message instead.
///
/// A message may use the fields of its variant. If it needs further arguments, it is put in parentheses with them.
macro_rules! messages {
    ($(#[$about:meta])* pub enum $name:ident {
        $($(#[$meaning:meta])* $variant:ident
            $({ $($(#[$about_field:meta])* $field:ident: $of:ty),* $(,)? })?
            $(($inner:ty))?
            $(=> $message:tt)?
        ),* $(,)?
    }) => {
        $(#[$about])*
        pub enum $name {
            $($(#[$meaning])* $variant $({ $($(#[$about_field])* $field: $of),* })? $(($inner))?),*
        }

        impl core::fmt::Display for $name {
            #[allow(unused_variables, reason = "not every message says everything")]
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self {
                    $(Self::$variant $({ $($field),* })? $(($crate::errors::first!(error $inner)))? => {
                        $crate::errors::say!(f $($message)? $(or error $inner)?)
                    })*
                }
            }
        }
    };
}

/// Like [`messages`], for error types. The errors that variants hold convert into them with `?`.
macro_rules! errors {
    ($(#[$about:meta])* pub enum $name:ident {
        $($(#[$meaning:meta])* $variant:ident $({ $($fields:tt)* })? $(($inner:ty))? $(=> $message:tt)?),*
        $(,)?
    }) => {
        $crate::errors::messages! {
            $(#[$about])*
            pub enum $name {
                $($(#[$meaning])* $variant $({ $($fields)* })? $(($inner))? $(=> $message)?),*
            }
        }

        impl core::error::Error for $name {
            fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
                match self {
                    $($(Self::$variant($crate::errors::first!(error $inner)) => error.source(),)?)*
                    #[allow(unreachable_patterns, reason = "where all are around another")]
                    _ => None,
                }
            }
        }

        $($(
            impl From<$inner> for $name {
                fn from(error: $inner) -> Self {
                    Self::$variant(error)
                }
            }
        )?)*
    };
}

/// Defines an enum without fields. Each variant has a name, which a method gives and `Display` shows. A list of all
/// variants is defined if asked for.
macro_rules! names {
    ($(#[$about:meta])* pub enum $enum:ident {
        $($(#[$meaning:meta])* $variant:ident => $name:literal),* $(,)?
    }
    $(#[$about_name:meta])* $visible:vis fn name; $($all:tt)*) => {
        $(#[$about])*
        pub enum $enum {
            $($(#[$meaning])* $variant),*
        }

        impl $enum {
            $crate::errors::list!(($(Self::$variant),*) $($all)*);

            $(#[$about_name])*
            #[must_use]
            $visible const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),*
                }
            }
        }

        impl core::fmt::Display for $enum {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

macro_rules! list {
    (($($variant:path),*)) => {};
    (($($variant:path),*) $(#[$about:meta])* $visible:vis const ALL: $type:ty;) => {
        $(#[$about])*
        $visible const ALL: $type = [$($variant),*];
    };
}

/// Defines the error for a name that none of an enum's values has, and reads a value from its name.
macro_rules! unknown {
    ($(#[$about:meta])* pub struct $unknown:ident => $message:literal; $enum:ident of $all:expr) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $unknown {
            /// The name that was given.
            pub name: alloc::string::String,
        }

        impl core::fmt::Display for $unknown {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, $message, self.name)
            }
        }

        impl core::error::Error for $unknown {}

        impl core::str::FromStr for $enum {
            type Err = $unknown;

            /// Parses the name that `Display` prints.
            fn from_str(name: &str) -> Result<Self, $unknown> {
                let named = |value: &Self| alloc::string::ToString::to_string(value) == name;
                ($all.into_iter().find(named)).ok_or_else(|| $unknown { name: name.into() })
            }
        }
    };
}

macro_rules! first {
    ($name:ident $_of:ty) => {
        $name
    };
}

macro_rules! say {
    ($f:ident $message:literal $(or $error:ident $_of:ty)?) => {
        write!($f, $message)
    };
    ($f:ident ($($message:tt)+)) => {
        write!($f, $($message)+)
    };
    ($f:ident or $error:ident $_of:ty) => {
        core::fmt::Display::fmt($error, $f)
    };
}

pub(crate) use {errors, first, list, messages, names, say, unknown};
