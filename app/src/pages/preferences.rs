//! What a reader prefers in this browser.

use crate::{
    api::preferences::{LoadPreferences, Preferences},
    components::{Field, PostForm, asked, head, load, loaded, note_plain},
};
use leptos::prelude::*;

#[component]
pub fn PreferencesPage() -> impl IntoView {
    loaded(load(|| (), |()| LoadPreferences {}), preferences)
}

fn preferences(now: Preferences) -> AnyView {
    let saved = asked("saved").map(|_| {
        note_plain(
            "created",
            "st-on",
            "",
            view! { <p role="status">"Saved in this browser."</p> },
        )
    });
    let zones = now
        .zones
        .iter()
        .map(|zone| (zone.clone(), zone.clone()))
        .collect();
    view! {
        {head("Preferences", "They are kept in this browser and concern nobody else.", None)}
        {saved}
        <PostForm action="/api/save_preferences" class="stack measure">
            <p class="only-alive">"Times and days follow this browser: " <b>{now.zone.clone()}</b> "."</p>
            <div class="only-plain">
                {Field::new("zone", "Time zone")
                    .hint("Days of usage, forecast and log begin at midnight there. A browser that runs scripts tells it by itself.")
                    .value(now.zone)
                    .select(zones)}
            </div>
            <label class="check">
                <input type="checkbox" name="search_key" value="on" checked=now.search_key/>
                <span>
                    <span>"The key " <kbd>"/"</kbd> " goes to the search"</span>
                    <small class="muted">"Turn it off when you speak to your computer, or when the key is pressed by accident."</small>
                </span>
            </label>
            <div class="actions"><button class="button button--primary" type="submit">"Save"</button></div>
        </PostForm>
    }
    .into_any()
}
