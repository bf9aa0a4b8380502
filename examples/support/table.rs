//! Tables in Markdown.

/// Formats rows of cells, the first of them the header, as a Markdown table with aligned columns.
pub(crate) fn align(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or(0)
    };
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut lines: Vec<String> = (rows.iter())
        .map(|row| {
            let cells = row.iter().zip(&widths);
            let cells: Vec<_> = cells
                .map(|(cell, &width)| format!("{cell:width$}"))
                .collect();
            format!("| {} |", cells.join(" | "))
        })
        .collect();
    let rules: Vec<_> = widths.iter().map(|&width| "-".repeat(width + 2)).collect();
    lines.insert(1, format!("|{}|", rules.join("|")));
    lines.join("\n")
}
