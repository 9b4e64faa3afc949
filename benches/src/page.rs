//! The page of the measurements, and its charts.
//!
//! Beside `NAME.json`, which stores the results, are the page `NAME.md` and the folder `NAME` of
//! the charts. The page's text between two marks is replaced, the rest stays.

use std::error::Error;
use std::fs;
use std::path::Path;

use crate::results::Results;
use crate::scaling::Growing;
use crate::workload::Workload;
use crate::{chart, table};

const BEGIN: &str = "<!-- measured: begin -->\n";
const END: &str = "<!-- measured: end -->\n";

/// Draws all charts, and updates the page if there is one.
///
/// # Errors
///
/// If a file cannot be written, or the page has no marks.
pub(crate) fn renew(
    workloads: &[Workload],
    results: &Results,
    kept: &Path,
) -> Result<(), Box<dyn Error>> {
    let charts = kept.with_extension("");
    fs::create_dir_all(&charts)?;
    for (workload, measured) in results.by_workload(workloads) {
        let title = format!("{}: {}", workload.id, workload.title);
        chart::bars(&title, measured, &charts.join(chart_name(workload.id)))?;
    }
    for (growing, name) in GROWTH {
        chart::growth(growing, &results.scaling, &charts.join(chart_name(name)))?;
    }
    let page = kept.with_extension("md");
    if page.exists() {
        let text = fs::read_to_string(&page)?;
        let folder = charts.file_name().unwrap_or_default().to_string_lossy();
        fs::write(&page, between_marks(&text, &measured_text(workloads, results, &folder))?)?;
    }
    Ok(())
}

const GROWTH: [(Growing, &str); 2] = [(Growing::Items, "by-items"), (Growing::Slots, "by-slots")];

/// All results as text.
fn measured_text(workloads: &[Workload], results: &Results, charts: &str) -> String {
    let shown = results.by_workload(workloads);
    let chart = |name: &str| format!("![{name}]({charts}/{})", chart_name(name));
    let mut parts = vec![
        format!("Measured on {}; {} rounds.", results.machine.describe(), results.rounds),
        "## Where others are faster".into(),
        "The fastest of the others, where it beats the fastest of ours:".into(),
        table::losses(shown.clone()),
        "## The workloads".into(),
    ];
    for (workload, measured) in shown.clone() {
        parts.push(format!("### {}: {}", workload.id, workload.title));
        parts.push(format!("{} items.", measured.load.items));
        parts.push(chart(workload.id));
        parts.push(table::measured(workload, measured));
    }
    if !results.scaling.is_empty() {
        parts.push("## More items, and more slots".into());
        parts.extend(GROWTH.map(|(_, name)| chart(name)));
        parts.push(table::scaling(&results.scaling));
    }
    parts.push("## The goals".into());
    parts.push(
        "What the project has set itself for each workload, beside a rival or in bytes:".into(),
    );
    parts.push(table::targets(shown));
    parts.iter().map(|part| part.trim_end()).collect::<Vec<_>>().join("\n\n")
}

fn chart_name(id: &str) -> String {
    format!("{}.svg", id.to_lowercase())
}

/// `page` with `text` between its marks.
fn between_marks(page: &str, text: &str) -> Result<String, &'static str> {
    let marks = page.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let (before, after) = marks.ok_or("the page has no marks to write between")?;
    Ok(format!("{before}{BEGIN}\n{}\n\n{END}{after}", text.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END, between_marks};

    #[test]
    fn only_the_text_between_the_marks_is_replaced() {
        let page = format!("before\n{BEGIN}old\n{END}after\n");
        let new = between_marks(&page, "new\n").unwrap();
        assert_eq!(new, format!("before\n{BEGIN}\nnew\n\n{END}after\n"));
        assert_eq!(between_marks(&new, "new\n").unwrap(), new);
        assert!(between_marks("no marks", "new").is_err());
    }
}
