//! What the browser loads; everything is in `app`.
#![cfg(target_arch = "wasm32")]

/// Takes the page over.
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    app::hydrate();
}
