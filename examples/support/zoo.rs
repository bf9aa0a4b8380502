//! The embedded zoo: 21 small vision transformers that were actually trained, in three trees.

/// The true forest.
pub(crate) const TRUTH: &str = include_str!("../zoo/truth.json");

macro_rules! zoo {
    ($($name:literal),* $(,)?) => {
        /// Every model's name and its safetensors file.
        pub(crate) const MODELS: &[(&str, &[u8])] = &[
            $(($name, include_bytes!(concat!("../zoo/", $name, ".safetensors"))),)*
        ];
    };
}

zoo![
    "28z45m22", "43sjtqva", "58bcgcgp", "7dzaohsh", "886usv26", "bxc0jych", "e9onn4q0", "ee20d3it",
    "ibczxims", "jv20srh8", "kl80cbyy", "nc19r1jw", "o9ip74p2", "q3i610ud", "q7q89l07", "qi74qzps",
    "uvn1ed2w", "wq5e6w86", "xf2sqh6r", "xrfe7fpn", "znpvodv6",
];
