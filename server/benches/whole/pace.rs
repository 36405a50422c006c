//! S14.3: how much of what an app allows is used, and whether it ever has to refuse.

use std::time::Duration;

use crate::Options;
use crate::install::{AppSettings, Installation};
use crate::table::Table;
use crate::world::{Shape, World};

pub fn run(options: &Options, table: &mut Table) {
    for &rate in &options.rates {
        // Two minutes of work where that is few people, less where it is many.
        let people = (rate as usize * 2).min(10_000);
        let world = World::start(Shape {
            people,
            groups: 1,
            latency: Duration::from_millis(40),
            per_minute: rate,
        });
        let installation = Installation::new();
        let app = AppSettings {
            per_minute: rate,
            concurrency: 64,
            ..AppSettings::named("bench")
        };
        installation.configure(&world.base, &[app]);
        world.seen();
        let ran = installation.sync("bench");
        assert_eq!(ran.result["applied"]["create"], people, "{}", ran.result);
        let seen = world.seen();
        #[allow(clippy::cast_precision_loss, reason = "counts are small")]
        let per_minute = (seen.writes - 1) as f64 * 60_000.0 / seen.write_millis.max(1) as f64;
        table.row(
            &format!("an app that allows {rate} requests a minute, {people} creates"),
            &format!("{per_minute:.0} a minute, {} refused", seen.refused),
            &format!("{rate} a minute"),
            Some(per_minute / f64::from(rate)),
        );
    }
}
