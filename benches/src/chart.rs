//! Charts of the measurements, as SVG.

use std::error::Error;
use std::ops::Range;
use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::ranged1d::SegmentValue::{self, CenterOf, Exact};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::results::{Measured, RivalMeasured};
use crate::scaling::Growing;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const WIDTH: u32 = 820;
/// The size of one bar.
const BAR: u32 = 26;
const FONT: (&str, i32) = ("sans-serif", 13);
const TITLE: (&str, i32) = ("sans-serif", 16);
const OURS: RGBColor = RGBColor(0x1f, 0x77, 0xb4);
const OTHERS: RGBColor = RGBColor(0xb0, 0xb0, 0xb0);
const SPREAD: RGBColor = RGBColor(0x33, 0x33, 0x33);
/// The colours of the lines in a chart, which must be distinguishable.
const LINES: [RGBColor; 5] = [
    RGBColor(0x80, 0x80, 0x80),
    RGBColor(0xbb, 0x88, 0x22),
    RGBColor(0x1f, 0x77, 0xb4),
    RGBColor(0x2c, 0xa0, 0x2c),
    RGBColor(0xd6, 0x27, 0x28),
];

/// A bar for each rival, as long as its median, with a line from its best round to its worst.
///
/// # Errors
///
/// If `path` cannot be written.
pub(crate) fn bars(title: &str, measured: &Measured, path: &Path) -> Result<(), Box<dyn Error>> {
    let mut rivals: Vec<&RivalMeasured> = measured.rivals.iter().collect();
    // The fastest is at the top, where the axis ends.
    rivals.sort_by(|a, b| b.wall.median.total_cmp(&a.wall.median));
    let count = u32::try_from(rivals.len())?;
    let longest = rivals.iter().map(|rival| rival.wall.median).fold(1.0, f64::max);
    // One bad round would make the bars too short to distinguish.
    let most = rivals.iter().map(|rival| rival.wall.max).fold(longest, f64::max).min(longest * 1.5);
    let area = canvas(path, 90 + count * BAR)?;
    // Capacity on the right for the figure of the longest.
    let mut chart = ChartBuilder::on(&area)
        .caption(title, TITLE)
        .margin(10)
        .x_label_area_size(38)
        .y_label_area_size(260)
        .build_cartesian_2d(0.0..most * 1.12, (0..rivals.len()).into_segmented())?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .light_line_style(TRANSPARENT)
        .set_tick_mark_size(LabelAreaPosition::Left, 0)
        .x_labels(8)
        .x_label_formatter(&|time| format!("{time:.0}"))
        .x_desc("ns an item: median; the line is from the best round to the worst")
        .y_labels(rivals.len())
        .y_label_formatter(&|at| match at {
            // The no-break space keeps the name off the axis.
            CenterOf(index) if *index < rivals.len() => rivals[*index].name.clone() + "\u{a0}",
            _ => String::new(),
        })
        .label_style(FONT)
        .draw()?;
    for (index, rival) in rivals.iter().enumerate() {
        let colour = if rival.ours { OURS } else { OTHERS };
        let wall = rival.wall;
        let ends = [(0.0, Exact(index)), (wall.median, Exact(index + 1))];
        let mut bar = Rectangle::new(ends, colour.filled());
        bar.set_margin(4, 4, 0, 0);
        chart.draw_series([bar])?;
        let end = wall.max.min(most);
        let spread = [(wall.min, CenterOf(index)), (end, CenterOf(index))];
        chart.draw_series([PathElement::new(spread, SPREAD.stroke_width(2))])?;
        chart.draw_series([figure(wall.median, end, index)])?;
    }
    Ok(area.present()?)
}

/// A line for each rival: the cost of an item with growing numbers of items, or of slots.
///
/// # Errors
///
/// If `path` cannot be written.
pub(crate) fn growth(
    growing: Growing,
    measured: &[Measured],
    path: &Path,
) -> Result<(), Box<dyn Error>> {
    let series = growing.series(measured);
    let (Some((first, start)), Some((last, _))) = (series.first(), series.last()) else {
        return Ok(());
    };
    let (title, axis) = match growing {
        Growing::Items => ("Ordered map through 100 slots, by the number of items", "items"),
        Growing::Slots => ("Ordered map, by the number of slots", "slots"),
    };
    let area = canvas(path, 460)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, TITLE)
        .margin(10)
        .margin_right(30)
        .x_label_area_size(42)
        .y_label_area_size(60)
        .build_cartesian_2d((*first..*last).log_scale(), costs(&series).log_scale().base(2.0))?;
    chart
        .configure_mesh()
        .x_desc(axis)
        .y_desc("ns an item, median")
        .light_line_style(TRANSPARENT)
        .x_label_formatter(&|size| grouped(*size))
        .y_label_formatter(&|time| format!("{time:.0}"))
        .label_style(FONT)
        .draw()?;
    for (rival, colour) in start.rivals.iter().zip(LINES.iter().cycle()) {
        let cost = |measured: &Measured| {
            let rival = measured.rivals.iter().find(|it| it.name == rival.name)?;
            Some(rival.wall.median)
        };
        let points: Vec<(u32, f64)> =
            series.iter().filter_map(|(size, it)| Some((*size, cost(it)?))).collect();
        let style = colour.stroke_width(2);
        chart
            .draw_series(LineSeries::new(points, style).point_size(3))?
            .label(&rival.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.85))
        .border_style(OTHERS)
        .label_font(FONT)
        .draw()?;
    Ok(area.present()?)
}

fn canvas(path: &Path, height: u32) -> Result<Area<'_>, Box<dyn Error>> {
    let area = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE)?;
    Ok(area)
}

/// The number at the end of a bar.
fn figure(number: f64, at: f64, index: usize) -> Text<'static, (f64, SegmentValue<usize>), String> {
    let style = FONT.into_text_style(&(WIDTH, BAR)).pos(Pos::new(HPos::Left, VPos::Center));
    let digits = usize::from(number < 100.0);
    Text::new(format!("  {number:.digits$}"), (at, CenterOf(index)), style)
}

/// From a little below the minimum to well above the maximum, for the names of the lines.
fn costs(series: &[(u32, &Measured)]) -> Range<f64> {
    let rivals = series.iter().flat_map(|(_, measured)| &measured.rivals);
    let costs = rivals.map(|rival| rival.wall.median);
    let (least, most) = costs
        .fold((f64::INFINITY, 0.0_f64), |(least, most), cost| (least.min(cost), most.max(cost)));
    least * 0.8..most * 4.0
}

/// `1000000` as `1,000,000`.
fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
