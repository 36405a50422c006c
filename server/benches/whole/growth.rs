//! The growth of a run without a change, as a picture: both axes logarithmic, so that what grows in
//! proportion is a straight line.

use std::fmt::Write as _;

/// A size of the company, and what was measured there.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    pub people: usize,
    pub ours: f64,
    pub against: f64,
    pub mebibytes: f64,
}

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 50.0;

/// Two panels side by side: CPU time and memory.
pub fn picture(points: &[Point]) -> String {
    let mut svg = String::new();
    let (width, height) = (2.0 * (WIDTH + LEFT) + 40.0, TOP + HEIGHT + 60.0);
    writeln!(
        svg,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13" role="img" aria-label="Growth of a run without a change with the number of people">
<rect width="{width}" height="{height}" fill="#fff"/>"##
    )
    .unwrap();
    panel(
        &mut svg,
        LEFT,
        "CPU seconds of a run without a change",
        points,
        &[
            ("#1a5fb4", "Rollcall", |point| point.ours),
            ("#77767b", "reading and parsing alone", |point| {
                point.against
            }),
        ],
    );
    panel(
        &mut svg,
        2.0 * LEFT + WIDTH,
        "MiB of memory at its peak",
        points,
        &[("#1a5fb4", "Rollcall", |point| point.mebibytes)],
    );
    svg.push_str("</svg>\n");
    svg
}

type Line = (&'static str, &'static str, fn(&Point) -> f64);

fn panel(svg: &mut String, left: f64, title: &str, points: &[Point], lines: &[Line]) {
    let values = points
        .iter()
        .flat_map(|point| lines.iter().map(|(.., value)| value(point).max(0.01)));
    let (low, high) = values.fold((f64::MAX, 0.01_f64), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let (low, high) = (low.log10().floor(), high.log10().ceil());
    let first = people(points.first()).floor();
    let last = people(points.last()).ceil().max(first + 1.0);
    let x = |value: f64| left + (value - first) / (last - first) * WIDTH;
    let y = |value: f64| {
        TOP + HEIGHT - (value.max(0.01).log10() - low) / (high - low).max(1.0) * HEIGHT
    };
    writeln!(
        svg,
        r#"<text x="{left}" y="20" font-weight="bold">{title}</text>"#
    )
    .unwrap();
    let mut power = first;
    while power <= last {
        let at = x(power);
        writeln!(
            svg,
            r##"<line x1="{at:.1}" x2="{at:.1}" y1="{TOP}" y2="{:.1}" stroke="#ddd"/><text x="{at:.1}" y="{:.1}" text-anchor="middle">{}</text>"##,
            TOP + HEIGHT,
            TOP + HEIGHT + 20.0,
            number(power),
        )
        .unwrap();
        power += 1.0;
    }
    let mut power = low;
    while power <= high {
        let at = y(10_f64.powf(power));
        writeln!(
            svg,
            r##"<line x1="{left}" x2="{:.1}" y1="{at:.1}" y2="{at:.1}" stroke="#ddd"/><text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"##,
            left + WIDTH,
            left - 8.0,
            at + 4.0,
            number(power),
        )
        .unwrap();
        power += 1.0;
    }
    for (index, (colour, name, value)) in lines.iter().enumerate() {
        let path: Vec<String> = points
            .iter()
            .map(|point| format!("{:.1},{:.1}", x(people(Some(point))), y(value(point))))
            .collect();
        writeln!(
            svg,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"/>"#,
            path.join(" ")
        )
        .unwrap();
        for at in &path {
            let (x, y) = at.split_once(',').unwrap();
            writeln!(
                svg,
                r#"<circle cx="{x}" cy="{y}" r="3.5" fill="{colour}"/>"#
            )
            .unwrap();
        }
        #[allow(clippy::cast_precision_loss, reason = "two lines")]
        let across = left + index as f64 * 110.0;
        writeln!(
            svg,
            r#"<text x="{across:.1}" y="40" fill="{colour}">{name}</text>"#
        )
        .unwrap();
    }
    writeln!(
        svg,
        r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">people</text>"#,
        left + WIDTH / 2.0,
        TOP + HEIGHT + 42.0
    )
    .unwrap();
}

fn people(point: Option<&Point>) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "a place in a picture")]
    point.map_or(0.0, |point| (point.people as f64).log10())
}

fn number(power: f64) -> String {
    let value = 10_f64.powf(power);
    match value {
        value if value >= 1_000_000.0 => format!("{:.0} million", value / 1_000_000.0),
        value if value >= 1_000.0 => format!("{:.0},000", value / 1_000.0),
        value if value >= 1.0 => format!("{value:.0}"),
        value => format!("{value}"),
    }
}
