//! Error enums defined together with their messages.

/// Defines an enum. Each variant has a message, or holds another value whose message it shows.
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
                        $($crate::errors::say!(f $message))?
                        $(core::fmt::Display::fmt($crate::errors::first!(error $inner), f))?
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

macro_rules! first {
    ($name:ident $_of:ty) => {
        $name
    };
}

macro_rules! say {
    ($f:ident $message:literal) => {
        write!($f, $message)
    };
    ($f:ident ($($message:tt)+)) => {
        write!($f, $($message)+)
    };
}

pub(crate) use {errors, first, messages, say};
