//! Columns side by side: how wide each is, and what is drawn where.

use super::WIDTH;
use super::text::Line;
use super::timeline::Row;

/// Blanks between two columns, at least.
const GAP: usize = 2;

/// No column is narrower: a 64-bit status word must fit.
const NARROWEST: usize = 18;

/// A torn name costs as much as so many more rows.
const TORN: usize = 6;

/// Rows that are looked at to choose the widths; the rest of a trace is much like its beginning.
const SAMPLE: usize = 2000;

/// The column titles, underlined, and the rows beneath them.
pub(super) fn draw(headers: &[Line], rows: &[Row]) -> Vec<String> {
    if headers.is_empty() {
        return Vec::new();
    }
    let widths = choose_widths(headers, rows);
    let mut drawn = titles(headers, &widths);
    for row in rows {
        match row {
            Row::In(column, line) => {
                let margin = " ".repeat(start(&widths, *column));
                let wrapped = line.wrap(widths[*column]).rows;
                drawn.extend(wrapped.iter().map(|text| format!("{margin}{text}")));
            }
            Row::Across(text) => drawn.extend([String::new(), (*text).to_owned(), String::new()]),
        }
    }
    if drawn.last().is_some_and(String::is_empty) {
        drawn.pop();
    }
    drawn
}

/// Where a column begins.
fn start(widths: &[usize], column: usize) -> usize {
    widths[..column].iter().map(|width| width + GAP).sum()
}

/// The titles side by side, standing on their underlines.
fn titles(headers: &[Line], widths: &[usize]) -> Vec<String> {
    let wrap = |(header, &width): (&Line, &usize)| header.wrap(width).rows;
    let mut blocks: Vec<Vec<String>> = headers.iter().zip(widths).map(wrap).collect();
    let height = blocks.iter().map(Vec::len).max().unwrap_or(0);
    for block in &mut blocks {
        let longest = block.iter().map(String::len).max().unwrap_or(0);
        block.splice(0..0, vec![String::new(); height - block.len()]);
        block.push("-".repeat(longest));
    }
    (0..=height)
        .map(|row| {
            let cells = blocks.iter().zip(widths);
            let line: String = cells
                .map(|(block, &width)| format!("{:1$}", block[row], width + GAP))
                .collect();
            line.trim_end().to_owned()
        })
        .collect()
}

/// The widths with which the fewest lines wrap and the fewest names are torn; among equals,
/// the most even ones.
fn choose_widths(headers: &[Line], rows: &[Row]) -> Vec<usize> {
    let count = headers.len();
    let total = WIDTH - GAP * (count - 1);
    let costs: Vec<Vec<usize>> = (0..count)
        .map(|column| {
            let in_column = rows.iter().filter_map(|row| match row {
                Row::In(at, line) if *at == column => Some(line),
                _ => None,
            });
            let lines: Vec<&Line> = std::iter::once(&headers[column])
                .chain(in_column.take(SAMPLE))
                .collect();
            (0..=total)
                .map(|width| {
                    if width < NARROWEST {
                        0
                    } else {
                        cost(&lines, width)
                    }
                })
                .collect()
        })
        .collect();
    let cost_of = |widths: &[usize]| -> usize {
        widths
            .iter()
            .zip(&costs)
            .map(|(&width, costs)| costs[width])
            .sum()
    };
    let unevenness = |widths: &[usize]| -> usize {
        widths
            .iter()
            .map(|width| (width * count).abs_diff(total))
            .sum()
    };
    let best = splits(total, count)
        .into_iter()
        .min_by_key(|w| (cost_of(w), unevenness(w)));
    best.unwrap_or_default()
}

fn cost(lines: &[&Line], width: usize) -> usize {
    let wrapped = lines.iter().map(|line| line.wrap(width));
    wrapped
        .map(|wrapped| wrapped.rows.len() + TORN * wrapped.torn)
        .sum()
}

/// Every way to divide `total` among `count` columns, none of them too narrow.
fn splits(total: usize, count: usize) -> Vec<Vec<usize>> {
    if count == 1 {
        return vec![vec![total]];
    }
    let widest = total.saturating_sub(NARROWEST * (count - 1));
    (NARROWEST..=widest)
        .flat_map(|first| {
            let rest = splits(total - first, count - 1);
            rest.into_iter()
                .map(move |rest| [vec![first], rest].concat())
        })
        .collect()
}

#[cfg(test)]
mod tests;
