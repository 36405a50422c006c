//! Pictures: the tally, the roll, a lane of usage. Bars only; words stand around them.

use super::parts::words;
use crate::format;
use leptos::{prelude::*, svg};

/// The mark, or how far the set-up is: `done` strokes drawn, the next one in the accent.
#[must_use]
pub fn tally(done: Option<usize>) -> AnyView {
    const STROKES: [&str; 5] = [
        "M4 4v16",
        "M9.3 4v16",
        "M14.6 4v16",
        "M20 4v16",
        "M1.2 16.4 22.8 7.6",
    ];
    let strokes = STROKES
        .iter()
        .enumerate()
        .map(|(i, d)| {
            let class = match done {
                None if i == 4 => "x",
                None => "",
                Some(done) if i < done => "",
                Some(done) if i == done => "now",
                Some(_) => "todo",
            };
            view! { <path class=class d=*d></path> }.into_any()
        })
        .collect::<Vec<_>>();
    view! { <svg class="tally" viewBox="0 0 24 24" aria-hidden="true">{strokes}</svg> }.into_any()
}

/// One part of the roll: its look, how many people, and the words after the number.
pub struct Tick {
    pub look: &'static str,
    pub count: u32,
    pub label: String,
    pub href: Option<String>,
}

/// Heights of the bars of each look, so that colour never speaks alone.
fn bars(look: &str) -> &'static [(f32, f32)] {
    match look {
        "new" => &[(0.0, 4.6), (6.4, 5.6)],
        "fail" => &[(0.0, 2.6), (4.0, 2.6), (8.0, 4.0)],
        "leave" => &[(4.0, 8.0)],
        "out" => &[(8.6, 3.4)],
        _ => &[(0.0, 12.0)],
    }
}

fn bar(look: &str, x: u32, width: u32) -> Vec<AnyView> {
    bars(look)
        .iter()
        .map(|(y, height)| {
            view! {
                <rect
                    class=format!("t-{look}")
                    x=x.to_string()
                    y=y.to_string()
                    width=width.to_string()
                    height=height.to_string()
                ></rect>
            }
            .into_any()
        })
        .collect()
}

/// Everybody once, a tick each. `id` is unique on the page.
#[must_use]
pub fn roll(id: &'static str, ticks: Vec<Tick>) -> AnyView {
    let everybody: u32 = ticks.iter().map(|tick| tick.count).sum();
    let mut x = 0;
    let mut all = Vec::new();
    for tick in ticks.iter().filter(|tick| tick.count > 0) {
        all.extend(bar(tick.look, x, tick.count));
        x += tick.count;
    }
    let parts: Vec<String> = ticks
        .iter()
        .map(|tick| format!("{} {}", format::number(tick.count), tick.label))
        .collect();
    let label = format!("{}: {}", format::people(everybody), parts.join(", "));
    let key = ticks
        .into_iter()
        .map(|tick| {
            let swatch = [bar(tick.look, 0, 2), bar(tick.look, 3, 2)].concat_views();
            let text = match tick.href {
                Some(href) => view! { <a href=href>{tick.label}</a> }.into_any(),
                None => view! { <span>{tick.label}</span> }.into_any(),
            };
            view! {
                <li>
                    <svg class="swatch" viewBox="0 0 5 12" preserveAspectRatio="none" aria-hidden="true">{swatch}</svg>
                    <b>{format::number(tick.count)}</b>
                    " "
                    {text}
                </li>
            }
            .into_any()
        })
        .collect::<Vec<_>>();
    let view_box = format!("0 0 {} 12", everybody.max(1));
    // Gaps between ticks only while a tick is at least a few pixels wide.
    let gap = if everybody <= 400 { "0.68" } else { "1" };
    let (pattern, mask) = (format!("{id}-p"), format!("{id}-m"));
    let (fill, masked) = (format!("url(#{pattern})"), format!("url(#{mask})"));
    let width = everybody.max(1).to_string();
    let wide = width.clone();
    view! {
        <div class="roll">
            <svg class="roll__ticks" viewBox=view_box preserveAspectRatio="none" role="img" aria-label=label>
                <defs>
                    <pattern id=pattern width="1" height="12" patternUnits="userSpaceOnUse">
                        <rect width=gap height="12" fill="#fff"></rect>
                    </pattern>
                    <mask id=mask maskUnits="userSpaceOnUse" x="0" y="0" width=wide height="12">
                        <rect width=width height="12" fill=fill></rect>
                    </mask>
                </defs>
                <g mask=masked>{all}</g>
            </svg>
            <ul class="roll__key">{key}</ul>
        </div>
    }
    .into_any()
}

trait ConcatViews {
    fn concat_views(self) -> Vec<AnyView>;
}

impl<const N: usize> ConcatViews for [Vec<AnyView>; N] {
    fn concat_views(self) -> Vec<AnyView> {
        self.into_iter().flatten().collect()
    }
}

/// One figure by day: its word, bars on its own scale, its peak and its total.
pub struct Lane<'a> {
    pub word: &'static str,
    pub shape: &'static str,
    pub tone: &'static str,
    /// Where the word and the total lead.
    pub href: String,
    pub values: &'a [u32],
    pub total: u32,
    /// Bars hang down, for what takes away.
    pub down: bool,
}

/// `day` gives a bar its words and where it leads. The table says the same, so that the bars are
/// for the eye and the pointer only.
pub fn lane(lane: &Lane<'_>, day: impl Fn(usize) -> Option<(String, String)>) -> AnyView {
    let peak = lane.values.iter().copied().max().unwrap_or(0);
    let bars = lane
        .values
        .iter()
        .enumerate()
        .map(|(at, n)| lane_bar(at, *n, peak, lane.down, day(at)))
        .collect::<Vec<_>>();
    let view_box = format!("0 0 {} 20", lane.values.len().max(1));
    let peak = if peak == 0 {
        "none".to_owned()
    } else {
        format!("up to {} a day", format::number(peak))
    };
    view! {
        <div class=format!("lane tone-{}", lane.tone)>
            <a class="lane__name" href=lane.href.clone()>{words(lane.tone, lane.shape, lane.word)}</a>
            <svg viewBox=view_box preserveAspectRatio="none" aria-hidden="true">{bars}</svg>
            <small>{peak}</small>
            <b>{format::number(lane.total)}</b>
        </div>
    }
    .into_any()
}

fn lane_bar(at: usize, n: u32, peak: u32, down: bool, day: Option<(String, String)>) -> AnyView {
    #[allow(clippy::cast_precision_loss, reason = "a bar's height")]
    let height = if n == 0 {
        0.7
    } else {
        (n as f32 / peak as f32 * 20.0).max(1.2)
    };
    let top = if down { 0.0 } else { 20.0 - height };
    let bar = svg::rect()
        .attr("class", if n == 0 { "t-base" } else { "" })
        .attr("x", format!("{at}.14"))
        .attr("y", format!("{top:.2}"))
        .attr("width", "0.72")
        .attr("height", format!("{height:.2}"));
    match day.filter(|_| n > 0) {
        Some((text, href)) => {
            // The whole column takes the pointer, however small its bar is.
            let column = svg::rect()
                .attr("class", "t-column")
                .attr("x", at.to_string())
                .attr("y", "0")
                .attr("width", "1")
                .attr("height", "20");
            svg::a()
                .attr("href", href)
                .attr("tabindex", "-1")
                .child((svg::title().child(text), column, bar))
                .into_any()
        }
        None => bar.into_any(),
    }
}

/// The table of a picture by day. `rows` are those of its body; each begins with its day.
#[must_use]
pub fn by_day(label: &'static str, columns: &[&'static str], rows: AnyView) -> AnyView {
    let columns = columns
        .iter()
        .map(|column| view! { <th scope="col" class="num">{*column}</th> }.into_any())
        .collect::<Vec<_>>();
    view! {
        <details class="fold">
            <summary>"The same as a table"</summary>
            <div class="scroll" tabindex="0" role="region" aria-label=label>
                <table class="table dense">
                    <thead><tr><th scope="col">"Day"</th>{columns}</tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </details>
    }
    .into_any()
}
