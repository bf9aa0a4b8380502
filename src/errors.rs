//! Error enums defined together with their messages.

/// Defines an enum, each variant with its message or around what speaks for itself.
///
/// Messages name the fields of their variant; with arguments they stand in parentheses.
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

/// The same for an error; other errors that it may be around convert into it with `?`.
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
