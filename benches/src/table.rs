//! The table of a contest.

use std::fmt::Write;

struct Row {
    name: &'static str,
    min: f64,
    median: f64,
    max: f64,
}

/// A table of rivals and what they needed per item, with ratios to `baseline` if it took part.
pub(crate) fn of(rivals: impl Iterator<Item = (&'static str, Vec<f64>)>, baseline: &str) -> String {
    let mut rows: Vec<Row> = rivals.filter_map(|(name, times)| row(name, times)).collect();
    rows.sort_by(|a, b| a.min.total_cmp(&b.min));
    let base = rows.iter().find(|row| row.name == baseline);
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or_default();
    let mut table = format!("{:width$} {:>9} {:>9} {:>9}", "", "min", "median", "max");
    if base.is_some() {
        let _ = write!(table, "   min and median / {baseline}");
    }
    table.push('\n');
    for Row { name, min, median, max } in &rows {
        let _ = write!(table, "{name:width$} {min:9.1} {median:9.1} {max:9.1}");
        if let Some(base) = base {
            let _ = write!(table, " {:9.2} {:9.2}", min / base.min, median / base.median);
        }
        table.push('\n');
    }
    table
}

fn row(name: &'static str, mut times: Vec<f64>) -> Option<Row> {
    times.sort_by(f64::total_cmp);
    let (min, max) = (*times.first()?, *times.last()?);
    Some(Row { name, min, median: times[times.len() / 2], max })
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn ratios_are_to_the_baseline_and_the_fastest_stands_first() {
        let rivals = [("slow", vec![40.0, 20.0, 30.0]), ("fast", vec![10.0, 15.0, 11.0])];
        let table = of(rivals.into_iter(), "slow");
        let rows: Vec<Vec<&str>> =
            table.lines().skip(1).map(|row| row.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["fast", "10.0", "11.0", "15.0", "0.50", "0.37"]);
        assert_eq!(rows[1], ["slow", "20.0", "30.0", "40.0", "1.00", "1.00"]);
    }

    #[test]
    fn without_the_baseline_there_are_no_ratios() {
        let table = of([("fast", vec![1.0])].into_iter(), "slow");
        assert_eq!(table.lines().nth(1), Some("fast       1.0       1.0       1.0"));
    }
}
