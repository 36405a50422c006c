//! What is expected of the next days, as a picture and as its table.

use super::day_address;
use crate::{
    api::queue::{Forecast, ForecastDay, StepKind},
    components::{Lane, by_day, lane, sheet},
    format,
};
use leptos::prelude::*;

pub fn picture(forecast: &Forecast, base: &str) -> AnyView {
    let days = &forecast.days;
    let both = [
        (StepKind::Suspend, "Suspensions", "op-suspend", "suspended"),
        (StepKind::Delete, "Deletions", "op-delete", "deleted"),
    ];
    let lanes = both
        .into_iter()
        .map(|(step, word, shape, tone)| {
            let values: Vec<u32> = days.iter().map(|day| of(day, step)).collect();
            let total: u32 = values.iter().sum();
            let one = Lane {
                word,
                shape,
                tone,
                href: format!("{base}?step={}", super::key_of(&super::STEPS, step)),
                values: &values,
                total,
                down: step == StepKind::Delete,
            };
            lane(&one, |at| {
                let day = days.get(at)?;
                let text = format!(
                    "{}: {}",
                    format::weekday(day.day),
                    format::number(of(day, step))
                );
                Some((text, day_address(base, day.day, step)))
            })
        })
        .collect::<Vec<_>>();
    let (first, last) = (
        days.first().map(|day| day.day),
        days.last().map(|day| day.day),
    );
    let middle = days.get(days.len() / 2).map(|day| day.day);
    let axis = [first, middle, last]
        .into_iter()
        .flatten()
        .map(|day| view! { <span>{format::short_day(day)}</span> })
        .collect::<Vec<_>>();
    let rows = days
        .iter()
        .filter(|day| day.suspensions + day.deletions > 0)
        .map(|day| {
            let cell = |step: StepKind| {
                let n = of(day, step);
                match n {
                    0 => view! { <td class="num muted">"0"</td> }.into_any(),
                    n => view! { <td class="num"><a href=day_address(base, day.day, step)>{format::number(n)}</a></td> }.into_any(),
                }
            };
            view! { <tr><th scope="row">{format::weekday(day.day)}</th>{cell(StepKind::Suspend)}{cell(StepKind::Delete)}</tr> }
                .into_any()
        })
        .collect::<Vec<_>>();
    let quiet = days.len() - rows.len();
    let rest = (quiet > 0).then(|| {
        let others = u32::try_from(quiet).unwrap_or_default();
        let words = format::counted(others, "other day", "other days");
        view! { <tr class="muted"><th scope="row">{words}</th><td class="num">"0"</td><td class="num">"0"</td></tr> }
    });
    let undated = (forecast.undated > 0).then(|| {
        let steps = format::counted(forecast.undated, "step", "steps");
        let verb = if forecast.undated == 1 { "has" } else { "have" };
        view! { <p class="soft">{format!("{steps} {verb} no day: somebody holds them, or the person is archived.")}</p> }
    });
    let zone = format!(
        "As things stand, in the next {} days. Days are those of {}.",
        days.len().saturating_sub(1),
        forecast.zone
    );
    sheet(
        "forecast",
        "What is to come",
        zone,
        None,
        view! {
            <div class="lanes">
                {lanes}
                <div class="lane lane--axis"><p class="axis">{axis}</p></div>
            </div>
            {undated}
            {by_day("Forecast by day", &["Suspensions", "Deletions"], view! { {rows}{rest} }.into_any())}
        },
    )
}

fn of(day: &ForecastDay, step: StepKind) -> u32 {
    match step {
        StepKind::Suspend => day.suspensions,
        StepKind::Delete => day.deletions,
    }
}
