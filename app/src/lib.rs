//! The console: wire types, server functions, pages and components.
//!
//! `ssr` is the server's half, `hydrate` the browser's. The server implements [`services`] and
//! renders [`shell`]; the browser calls `hydrate`.

pub mod api;
mod browser;
mod components;
pub mod format;
mod pages;
mod reading;
#[cfg(feature = "ssr")]
pub mod services;
pub mod words;

pub use pages::App;

/// The document around the app.
#[cfg(feature = "ssr")]
pub fn shell(options: leptos::prelude::LeptosOptions) -> impl leptos::prelude::IntoView {
    use leptos::prelude::*;
    use leptos_meta::MetaTags;
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <meta name="description" content="Accounts in your apps, kept in step with your directory."/>
                <link rel="icon" href="/favicon.svg" type="image/svg+xml"/>
                <link rel="stylesheet" href="/pkg/rollcall.css"/>
                <HydrationScripts options/>
                <MetaTags/>
            </head>
            <body>
                <App/>
            </body>
        </html>
    }
}

/// Takes the page over in the browser.
#[cfg(feature = "hydrate")]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_body(App);
}
