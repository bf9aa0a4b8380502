//! Names of models, and their form in URLs.

use percent_encoding::percent_decode_str;

use crate::error::{Code, HubError};

/// The longest id, in bytes.
const LONGEST: usize = 200;

/// Checks an id: a path such as `org/name`, without characters that could hide something from a reader.
pub(crate) fn check(id: &str) -> Result<(), HubError> {
    let bad = |why: &str| Err(HubError::new(Code::BadId, format!("an id {why}")));
    if id.is_empty() || id.len() > LONGEST {
        return bad("must have 1 to 200 bytes");
    }
    if id.chars().any(is_invisible) {
        return bad("must not contain control or invisible characters");
    }
    if id.trim() != id {
        return bad("must not begin or end with white space");
    }
    if id.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return bad("must not contain empty segments, `.` or `..`");
    }
    Ok(())
}

fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}'
                | '\u{feff}'
        )
}

/// Splits the path below `/models/` into a model's id and the requested part.
///
/// The last segment is the requested part if it is one of `parts` and follows something. In an id, a slash may be
/// written as `%2F`, so that `a%2Fcard` is the model `a/card` and `a/card` the card of the model `a`.
pub(crate) fn split<'p>(
    path: &str,
    parts: &[&'p str],
) -> Result<(String, Option<&'p str>), HubError> {
    let asked = path.rsplit_once('/').and_then(|(id, last)| {
        let part = parts.iter().find(|part| **part == last)?;
        Some((id, *part))
    });
    let (id, part) = match asked {
        Some((id, part)) => (id, Some(part)),
        None => (path, None),
    };
    let decoded = percent_decode_str(id).decode_utf8();
    let decoded = decoded.map_err(|_| HubError::new(Code::BadId, "an id must be valid UTF-8"))?;
    check(&decoded)?;
    Ok((decoded.into_owned(), part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_is_what_is_asked_unless_its_slash_is_encoded() {
        let split = |path| split(path, &["card", "graph.svg"]).ok();
        let some = |id: &str, part| Some((id.to_owned(), part));
        assert_eq!(split("org/name"), some("org/name", None));
        assert_eq!(split("org%2Fname"), some("org/name", None));
        assert_eq!(split("org/name/card"), some("org/name", Some("card")));
        assert_eq!(
            split("org%2fname/graph.svg"),
            some("org/name", Some("graph.svg"))
        );
        assert_eq!(split("org%2Fcard"), some("org/card", None));
        assert_eq!(split("org%2Fcard/card"), some("org/card", Some("card")));
        assert_eq!(split("card"), some("card", None));
        assert_eq!(split("%3Cb%3E/card"), some("<b>", Some("card")));
        for bad in [
            "",
            "/card",
            "a//b",
            "a/../b",
            "a/%2e%2e/b",
            "%ff",
            "a%00",
            "%20a",
            "a%E2%80%AE",
        ] {
            assert_eq!(split(bad), None, "{bad}");
        }
    }
}
