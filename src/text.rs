//! Untrusted text, shown on one short line.

use core::fmt::{self, Write};

/// The maximum length at which an untrusted name or message is shown.
const LONGEST: usize = 200;

/// The same for paths, of which the end is shown, since an index can name files arbitrarily.
const LONGEST_PATH: usize = 400;

/// Shows a file's path or name on one line between backquotes.
pub(crate) struct FileName<'a>(pub(crate) &'a str);

impl fmt::Display for FileName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut length = 0;
        let too_long = self.0.char_indices().rev().find(|&(_, character)| {
            length += shown(character).count();
            length > LONGEST_PATH
        });
        f.write_str("`")?;
        let end = match too_long {
            Some((at, character)) => {
                f.write_str("…")?;
                self.0.get(at + character.len_utf8()..).unwrap_or_default()
            }
            None => self.0,
        };
        escape(end, f)?;
        f.write_str("`")
    }
}

/// Shows text from a file on one short line between backquotes.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", Line(self.0))
    }
}

/// The same without the backquotes.
pub(crate) struct Line<'a>(pub(crate) &'a str);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut length = 0;
        let too_long = self.0.char_indices().find(|&(_, character)| {
            length += shown(character).count();
            length > LONGEST
        });
        match too_long {
            Some((at, _)) => {
                escape(self.0.get(..at).unwrap_or_default(), f)?;
                f.write_str("…")
            }
            None => escape(self.0, f),
        }
    }
}

/// The characters that represent a character: none that could break the line or control a terminal.
fn shown(character: char) -> impl Iterator<Item = char> {
    let escaped = character.is_control().then(|| character.escape_default());
    let itself = escaped.is_none().then_some(character);
    escaped.into_iter().flatten().chain(itself)
}

fn escape(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    text.chars()
        .flat_map(shown)
        .try_for_each(|c| f.write_char(c))
}

/// Shows the first few lengths of a shape.
pub(crate) struct Shape<'a>(pub(crate) &'a [usize]);

impl fmt::Display for Shape<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 8;
        match self.0.get(..MOST) {
            Some(first) if self.0.len() > MOST => {
                write!(f, "{first:?} and {} more", self.0.len() - MOST)
            }
            _ => write!(f, "{:?}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;

    #[test]
    fn hostile_names_stay_on_one_short_line() {
        assert_eq!(Quoted("a\n\u{1b}[2Jé").to_string(), "`a\\n\\u{1b}[2Jé`");
        let long = Quoted(&"é".repeat(1000)).to_string();
        assert_eq!(long.chars().count(), LONGEST + 3);
        // Escaped characters count with the length at which they are shown.
        let control = Quoted(&"\u{7f}".repeat(1000)).to_string();
        assert_eq!(control.chars().count(), LONGEST / 6 * 6 + 3);
    }

    #[test]
    fn long_paths_show_their_end() {
        let long = FileName(&format!("{}é\nend", "é\n".repeat(1000))).to_string();
        assert!(
            long.starts_with("`…") && long.ends_with("é\\né\\nend`"),
            "{long}"
        );
        assert!((LONGEST_PATH..LONGEST_PATH + 4).contains(&long.chars().count()));
        let path = "a/".repeat(LONGEST_PATH / 2);
        assert_eq!(FileName(&path).to_string(), format!("`{path}`"));
    }
}
