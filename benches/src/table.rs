//! Tables of the measurements, in Markdown that also reads well in a terminal.

use std::collections::BTreeMap;

use crate::results::{Measured, Metric, RivalMeasured};
use crate::workload::Workload;

/// The measurements of all rivals of `workload`, the fastest first, with ratios to the first of the
/// others and to the best of them.
pub(crate) fn measured(workload: &Workload, measured: &Measured) -> String {
    let named = |name: &str| measured.rivals.iter().find(|rival| rival.name == name);
    let reference = workload.rivals.first().and_then(|rival| named(&rival.name));
    let best = measured.best(false).filter(|best| reference.is_none_or(|it| it.name != best.name));
    let references: Vec<_> = reference.into_iter().chain(best).collect();
    let mut rivals: Vec<_> = measured.rivals.iter().collect();
    rivals.sort_by(|a, b| a.wall.median.total_cmp(&b.wall.median));

    let mut head: Vec<String> = ["ns an item", "median", "min", "max"].map(String::from).into();
    head.extend(references.iter().map(|reference| format!("/ {}", reference.name)));
    head.extend(["CPU ns", "bytes"].map(String::from));
    let mut rows = vec![head];
    for rival in rivals {
        let name = &rival.name;
        let mut row = vec![if rival.ours { format!("**{name}**") } else { name.clone() }];
        row.extend([rival.wall.median, rival.wall.min, rival.wall.max].map(number));
        let ratio = |to: &&RivalMeasured| format!("{:.2}", rival.wall.median / to.wall.median);
        row.extend(references.iter().map(ratio));
        let bytes = rival.figure(Metric::BytesAnItem, measured.load).median;
        row.extend([rival.cpu.median, bytes].map(number));
        rows.push(row);
    }
    aligned(&rows, 1)
}

/// The targets, and whether they were met.
pub(crate) fn targets<'a>(
    measured: impl IntoIterator<Item = (&'a Workload, &'a Measured)>,
) -> String {
    let head = ["", "what", "at most", "median", "minimum", "met"];
    let mut rows = vec![head.map(String::from).to_vec()];
    for (workload, measured) in measured {
        for target in &workload.targets {
            let Some(figure) = target.measured(measured) else { continue };
            let met = if figure.median <= target.at_most {
                "yes"
            } else if figure.min <= target.at_most {
                "by minima"
            } else {
                "**no**"
            };
            rows.push(vec![
                workload.id.into(),
                target.describe(),
                number(target.at_most),
                number(figure.median),
                number(figure.min),
                met.into(),
            ]);
        }
    }
    if rows.len() == 1 { String::new() } else { aligned(&rows, 2) }
}

/// Each workload in which another rival is fastest.
pub(crate) fn losses<'a>(
    measured: impl IntoIterator<Item = (&'a Workload, &'a Measured)>,
) -> String {
    let head = ["", "fastest", "fastest of ours", "ns an item", "ours", "ours / fastest"];
    let mut rows = vec![head.map(String::from).to_vec()];
    for (workload, measured) in measured {
        let (Some(other), Some(ours)) = (measured.best(false), measured.best(true)) else {
            continue;
        };
        let ratio = ours.wall.median / other.wall.median;
        // A ratio that rounds to 1.00 is not a loss.
        if ratio >= 1.005 {
            let names = [workload.id, &other.name, &ours.name].map(String::from);
            let figures = [other.wall.median, ours.wall.median, ratio].map(number);
            rows.push(names.into_iter().chain(figures).collect());
        }
    }
    aligned(&rows, 3)
}

/// The cost of an item under each load, by median.
pub(crate) fn scaling(measured: &[Measured]) -> String {
    let Some(first) = measured.first() else { return String::new() };
    let mut head = vec!["items".to_owned(), "slots".to_owned()];
    head.extend(first.rivals.iter().map(|rival| rival.name.clone()));
    let mut rows = vec![head];
    for Measured { load, rivals, .. } in measured {
        let mut row = vec![load.items.to_string(), load.slots.to_string()];
        row.extend(rivals.iter().map(|rival| number(rival.wall.median)));
        rows.push(row);
    }
    format!("Nanoseconds an item, by the median:\n\n{}", aligned(&rows, 0))
}

/// Counts before and after, and their difference if it is more than `noticed`.
pub(crate) fn changes(
    before: &BTreeMap<String, f64>,
    after: &BTreeMap<String, f64>,
    noticed: f64,
) -> String {
    let head = ["instructions an item", "kept", "now", "change"];
    let mut rows = vec![head.map(String::from).to_vec()];
    for (path, &now) in after {
        let kept = before.get(path).copied();
        let change = kept.map(|kept| now / kept - 1.0);
        rows.push(vec![
            path.clone(),
            kept.map_or_else(|| "none".into(), number),
            number(now),
            match change {
                Some(change) if change.abs() > noticed => format!("{:+.1} %", change * 100.0),
                _ => String::new(),
            },
        ]);
    }
    aligned(&rows, 1)
}

/// The counts of both sizes, and the ratio of the second to the first.
pub(crate) fn growth(items: [u32; 2], counts: &[(&str, f64, f64)]) -> String {
    let [few, many] = items.map(|items| items.to_string());
    let mut rows = vec![vec!["instructions for items".into(), few, many, "times".into()]];
    for &(name, few, many) in counts {
        rows.push(vec![name.into(), number(few), number(many), number(many / few)]);
    }
    aligned(&rows, 1)
}

/// With as many digits as say something.
fn number(number: f64) -> String {
    let digits = match number.abs() {
        at_least_100 if at_least_100 >= 99.95 => 0,
        at_least_10 if at_least_10 >= 9.995 => 1,
        _ => 2,
    };
    format!("{number:.digits$}")
}

/// A Markdown table, the first of `rows` its head, with so many columns of words before those of
/// numbers.
fn aligned(rows: &[Vec<String>], words: usize) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0).max(3)).collect();
    let cell = |column: usize, text: &str| {
        let width = widths[column];
        if column < words { format!("{text:<width$}") } else { format!("{text:>width$}") }
    };
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut table = String::new();
    for (index, row) in rows.iter().enumerate() {
        let cells = row.iter().enumerate().map(|(column, text)| cell(column, text));
        table += &line(cells.collect());
        if index == 0 {
            let end = |column| if column < words { '-' } else { ':' };
            let rule = |column: usize| "-".repeat(widths[column] - 1) + &end(column).to_string();
            table += &line((0..columns).map(rule).collect());
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::{aligned, number};

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["name".into(), "x".into()], vec!["a".into(), "1234".into()]];
        assert_eq!(aligned(&rows, 1), "| name |    x |\n| ---- | ---: |\n| a    | 1234 |\n");
    }

    #[test]
    fn numbers_have_three_digits_or_more() {
        assert_eq!(
            [0.123, 1.234, 12.34, 123.4, 1234.0].map(number).join(" "),
            "0.12 1.23 12.3 123 1234"
        );
    }
}
