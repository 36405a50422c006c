//! Adding an app from the catalogue.

use crate::{
    api::apps::{CatalogItem, LoadCatalog},
    components::{Field, PostForm, head, hidden, load, loaded, may_change, read_only, sheet},
};
use leptos::prelude::*;

#[component]
pub fn AddAppPage() -> impl IntoView {
    view! {
        {head("Add an app", "Nothing is sent to the app yet. You say how people sign in to it, for whom it is on, and look at a plan first.", None)}
        {loaded(load(|| (), |()| LoadCatalog {}), page)}
    }
}

fn page(items: Vec<CatalogItem>) -> AnyView {
    let entries = items
        .into_iter()
        .enumerate()
        .map(|(i, item)| entry(i, item))
        .collect::<Vec<_>>();
    view! { {entries}{(!may_change()).then(read_only)} }.into_any()
}

fn entry(index: usize, item: CatalogItem) -> AnyView {
    const IDS: [&str; 6] = ["app-0", "app-1", "app-2", "app-3", "app-4", "app-5"];
    let custom = item.endpoint.is_none();
    let added = (!item.added.is_empty()).then(
        || view! { <p class="hint">{format!("Added already: {}.", item.added.join(", "))}</p> },
    );
    let button = if index == 0 {
        "button button--primary"
    } else {
        "button"
    };
    // Called inside the form, so that each field finds its error.
    let fields = move || {
        custom.then(|| {
        view! {
            {Field::new("name", "Name").hint("As you call it here.").required().input()}
            {Field::new("endpoint", "SCIM endpoint")
                .kind("url")
                .hint("The address under which /Users and /ServiceProviderConfig answer. You find it in the app’s settings.")
                .placeholder("https://app.example/scim/v2")
                .required()
                .input()}
        }
    })
    };
    let endpoint = item
        .endpoint
        .clone()
        .map(|endpoint| view! { <p class="hint"><code>{endpoint}</code></p> });
    let (name, description) = (item.name.clone(), item.description.clone());
    let body = if may_change() {
        view! {
            <PostForm action="/api/add_app" class="stack measure">
                {hidden("catalog", item.id)}
                {endpoint}
                {fields()}
                {added}
                <div class="actions"><button class=button type="submit">{format!("Add {}", if custom { "the app".to_owned() } else { item.name })}</button></div>
            </PostForm>
        }
        .into_any()
    } else {
        view! { {endpoint}{added} }.into_any()
    };
    sheet(IDS[index.min(IDS.len() - 1)], name, description, None, body)
}
