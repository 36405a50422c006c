//! What only a browser can do. On the server each of these is absent or does nothing.

#[cfg(feature = "hydrate")]
mod real {
    use crate::api::{ApiError, ErrorCode};
    use chrono::{DateTime, Utc};
    use leptos::prelude::{document, window};
    use leptos::server_fn::error::FromServerFnError;
    use wasm_bindgen::{JsCast, JsValue};
    use wasm_bindgen_futures::JsFuture;

    /// The form's controls and the button that was pressed.
    fn data_of(
        event: &web_sys::SubmitEvent,
    ) -> Option<(web_sys::HtmlFormElement, web_sys::FormData)> {
        let form: web_sys::HtmlFormElement = event.target()?.dyn_into().ok()?;
        let data = web_sys::FormData::new_with_form(&form).ok()?;
        if let Some(button) = event.submitter()
            && let (Some(name), value) =
                (button.get_attribute("name"), button.get_attribute("value"))
        {
            data.append_with_str(&name, &value.unwrap_or_default())
                .ok()?;
        }
        Some((form, data))
    }

    fn encoded(data: &web_sys::FormData) -> Option<web_sys::UrlSearchParams> {
        let pairs: &JsValue = data.as_ref();
        web_sys::UrlSearchParams::new_with_str_sequence_sequence(pairs).ok()
    }

    pub struct Posted {
        form: web_sys::HtmlFormElement,
        body: String,
    }

    #[must_use]
    pub fn posted(event: &web_sys::SubmitEvent) -> Option<Posted> {
        let (form, data) = data_of(event)?;
        let body = encoded(&data)?.to_string().as_string()?;
        Some(Posted { form, body })
    }

    /// Posts the form as the browser would and returns where the server sends it.
    pub async fn post(posted: Posted) -> Result<Option<String>, ApiError> {
        let lost = |_| ApiError::new(ErrorCode::Unavailable);
        let init = web_sys::RequestInit::new();
        init.set_method("POST");
        init.set_body(&JsValue::from_str(&posted.body));
        let action = posted.form.get_attribute("action").unwrap_or_default();
        let request = web_sys::Request::new_with_str_and_init(&action, &init).map_err(lost)?;
        let headers = request.headers();
        headers.set("Accept", "application/json").map_err(lost)?;
        headers
            .set("Content-Type", "application/x-www-form-urlencoded")
            .map_err(lost)?;
        let response = JsFuture::from(window().fetch_with_request(&request))
            .await
            .map_err(lost)?;
        let response: web_sys::Response = response.dyn_into().map_err(lost)?;
        if response.ok() {
            return Ok(response.headers().get("Location").ok().flatten());
        }
        let text = JsFuture::from(response.text().map_err(lost)?)
            .await
            .map_err(lost)?;
        Err(ApiError::de(
            text.as_string().unwrap_or_default().into_bytes().into(),
        ))
    }

    /// The address that a search form asks for, without empty controls.
    #[must_use]
    pub fn searched(event: &web_sys::SubmitEvent) -> Option<String> {
        let (form, data) = data_of(event)?;
        let text = encoded(&data)?.to_string().as_string()?;
        let filled: Vec<&str> = text
            .split('&')
            .filter(|pair| !pair.is_empty() && !pair.ends_with('='))
            .collect();
        let action = form.get_attribute("action")?;
        Some(if filled.is_empty() {
            action
        } else {
            format!("{action}?{}", filled.join("&"))
        })
    }

    /// Loads another page as a whole, so that nothing of this one is kept.
    pub fn leave_for(path: &str) {
        let _ = window().location().assign(path);
    }

    pub fn mark_hydrated() {
        if let Some(body) = document().body() {
            let _ = body.set_attribute("data-hydrated", "");
        }
    }

    /// After going to another page: focus its title, so that reading starts there.
    pub fn arrive() {
        if let Some(menu) = document().get_element_by_id("menu")
            && menu.matches(":popover-open").unwrap_or(false)
            && let Ok(hide) = js_sys::Reflect::get(&menu, &JsValue::from_str("hidePopover"))
            && let Ok(hide) = hide.dyn_into::<js_sys::Function>()
        {
            let _ = hide.call0(&menu);
        }
        let title = document().query_selector("#main h1").ok().flatten();
        let target = title.or_else(|| document().get_element_by_id("main"));
        if let Some(target) =
            target.and_then(|element| element.dyn_into::<web_sys::HtmlElement>().ok())
        {
            let _ = target.set_attribute("tabindex", "-1");
            let _ = target.focus();
        }
    }

    pub fn focus(id: &str) {
        if let Some(element) = document().get_element_by_id(id)
            && let Ok(element) = element.dyn_into::<web_sys::HtmlElement>()
        {
            let _ = element.focus();
        }
    }

    /// Puts the text of a chosen file into the text area.
    pub fn read_file(event: &web_sys::Event, into: &str) {
        let Some(input) = event
            .target()
            .and_then(|target| target.dyn_into::<web_sys::HtmlInputElement>().ok())
        else {
            return;
        };
        let Some(area) = document()
            .get_element_by_id(into)
            .and_then(|element| element.dyn_into::<web_sys::HtmlTextAreaElement>().ok())
        else {
            return;
        };
        let get = |target: &JsValue, name: &str| {
            js_sys::Reflect::get(target, &JsValue::from_str(name)).ok()
        };
        let file = get(&input, "files").and_then(|files| get(&files, "0"));
        let Some(file) = file.filter(JsValue::is_object) else {
            return;
        };
        leptos::task::spawn_local(async move {
            if let Some(text) = get(&file, "text")
                && let Ok(text) = text.dyn_into::<js_sys::Function>()
                && let Ok(promise) = text.call0(&file)
                && let Ok(promise) = promise.dyn_into::<js_sys::Promise>()
                && let Ok(text) = JsFuture::from(promise).await
            {
                area.set_value(&text.as_string().unwrap_or_default());
            }
        });
    }

    /// Sends a form as if the button had been pressed.
    pub fn press(id: &str) {
        if let Some(element) = document().get_element_by_id(id)
            && let Ok(element) = element.dyn_into::<web_sys::HtmlElement>()
        {
            element.click();
        }
    }

    /// In the reader's own time zone: year, month, day, hours, minutes, seconds, and whether it
    /// is today or this year.
    #[must_use]
    pub fn local(time: DateTime<Utc>) -> Option<super::Local> {
        #[allow(clippy::cast_precision_loss, reason = "milliseconds of this age fit")]
        let date = js_sys::Date::new(&JsValue::from_f64(time.timestamp_millis() as f64));
        let today = js_sys::Date::new_0();
        let same_year = date.get_full_year() == today.get_full_year();
        Some(super::Local {
            year: date.get_full_year(),
            month: date.get_month(),
            day: date.get_date(),
            hour: date.get_hours(),
            minute: date.get_minutes(),
            second: date.get_seconds(),
            this_year: same_year,
            today: same_year
                && date.get_month() == today.get_month()
                && date.get_date() == today.get_date(),
        })
    }
}

#[cfg(not(feature = "hydrate"))]
mod absent {
    use crate::api::ApiError;
    use chrono::{DateTime, Utc};
    use leptos::web_sys;

    pub struct Posted;
    #[must_use]
    pub fn posted(_: &web_sys::SubmitEvent) -> Option<Posted> {
        None
    }
    pub async fn post(_: Posted) -> Result<Option<String>, ApiError> {
        Ok(None)
    }
    #[must_use]
    pub fn searched(_: &web_sys::SubmitEvent) -> Option<String> {
        None
    }
    pub fn leave_for(_: &str) {}
    pub fn mark_hydrated() {}
    pub fn arrive() {}
    pub fn focus(_: &str) {}
    pub fn read_file(_: &web_sys::Event, _: &str) {}
    pub fn press(_: &str) {}
    #[must_use]
    pub fn local(_: DateTime<Utc>) -> Option<super::Local> {
        None
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Local {
    pub year: u32,
    /// From 0.
    pub month: u32,
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
    pub this_year: bool,
    pub today: bool,
}

#[cfg(not(feature = "hydrate"))]
pub use absent::*;
#[cfg(feature = "hydrate")]
pub use real::*;
