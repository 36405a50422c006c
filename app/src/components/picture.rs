//! Pictures: the tally, the roll, a lane of usage. Bars only; words stand around them.

use super::parts::words;
use crate::{
    api::autoprovisioning::{UsageFigure, UsageLane},
    format,
};
use leptos::prelude::*;

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

/// One figure of the last 30 days: word, bars on its own scale, its peak and its total.
#[must_use]
pub fn usage_lane(lane: &UsageLane, slug: &str) -> AnyView {
    let (word, shape, tone, filter) = match lane.figure {
        UsageFigure::Created => ("Created", "op-create", "created", "event=create"),
        UsageFigure::Updated => ("Updated", "op-update", "updated", "event=update"),
        UsageFigure::Suspended => ("Suspended", "op-suspend", "suspended", "event=suspend"),
        UsageFigure::Unsuspended => ("Unsuspended", "op-unsuspend", "created", "event=unsuspend"),
        UsageFigure::Deleted => ("Deleted", "op-delete", "deleted", "event=delete"),
        UsageFigure::Failures => ("Failures", "op-failed", "failed", "outcome=failed"),
    };
    let peak = lane.days.iter().copied().max().unwrap_or(0);
    let bars = lane
        .days
        .iter()
        .enumerate()
        .map(|(day, n)| {
            #[allow(clippy::cast_precision_loss, reason = "a bar's height")]
            let height = if *n == 0 {
                0.7
            } else {
                (*n as f32 / peak as f32 * 20.0).max(1.2)
            };
            view! {
                <rect
                    class=if *n == 0 { "t-base" } else { "" }
                    x=format!("{day}.14")
                    y=format!("{:.2}", 20.0 - height)
                    width="0.72"
                    height=format!("{height:.2}")
                ></rect>
            }
            .into_any()
        })
        .collect::<Vec<_>>();
    let href = format!("/audit?app={slug}&{filter}");
    let view_box = format!("0 0 {} 20", lane.days.len().max(1));
    let peak = if peak == 0 {
        "none".to_owned()
    } else {
        format!("up to {}", format::number(peak))
    };
    view! {
        <a class=format!("lane tone-{tone}") href=href>
            {words(tone, shape, word)}
            <svg viewBox=view_box preserveAspectRatio="none" aria-hidden="true">{bars}</svg>
            <small>{peak}</small>
            <b>{format::number(lane.total)}</b>
        </a>
    }
    .into_any()
}
