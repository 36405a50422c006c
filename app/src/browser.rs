//! What only a browser can do. On the server each of these is absent or does nothing.

/// What a browser does with passkeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passkey {
    Make,
    Sign,
}

#[cfg(feature = "hydrate")]
mod real {
    use super::Passkey;
    use crate::api::{ApiError, ErrorCode, preferences};
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
        /// What the button says that was pressed; none where Enter was.
        deed: Option<String>,
        /// The control in which Enter was pressed, or the button, where it has an id.
        focused: String,
    }

    #[must_use]
    pub fn posted(event: &web_sys::SubmitEvent) -> Option<Posted> {
        let (form, data) = data_of(event)?;
        let body = encoded(&data)?.to_string().as_string()?;
        let button = event.submitter();
        let deed = button
            .filter(|button| !button.has_attribute("aria-hidden"))
            .and_then(|button| button.text_content());
        let focused = document().active_element().map(|element| element.id());
        say("");
        Some(Posted {
            form,
            body,
            deed,
            focused: focused.unwrap_or_default(),
        })
    }

    /// Tells it whoever looks at the page, and whoever listens to it.
    pub fn say(text: &str) {
        if let Some(status) = document().get_element_by_id("said") {
            status.set_text_content(Some(text));
        }
    }

    /// Whether the page that a form changed still shows what it showed before.
    #[must_use]
    pub fn is_as_before(posted: &Posted) -> bool {
        posted.form.is_connected()
    }

    /// After a form changed its own page: says so, and puts the focus, which went away with the form,
    /// where it was: on the same control, on the same button of the form that stands there now, on
    /// another of its buttons, or on the title where there is none any more.
    pub fn come_back(posted: &Posted) {
        match posted.deed.as_deref() {
            None => {}
            Some("Save") => say("Saved"),
            // Some of it goes on, the reading of a directory say.
            Some(deed) => say(&format!("Accepted: {deed}")),
        }
        let lost = document().active_element();
        if lost.is_some_and(|element| element.tag_name() != "BODY") {
            return;
        }
        let control = document().get_element_by_id(&posted.focused);
        let control = control.and_then(|control| control.dyn_into().ok());
        match control.or_else(|| button_of_same(posted)) {
            Some(element) => drop(element.focus()),
            None => arrive(),
        }
    }

    fn button_of_same(posted: &Posted) -> Option<web_sys::HtmlElement> {
        let action = posted.form.get_attribute("action")?;
        let about = hidden_of(&posted.form);
        let same = |form: &web_sys::HtmlFormElement| hidden_of(form) == about;
        let main = document().get_element_by_id("main")?;
        let form = all::<web_sys::HtmlFormElement>(&main, &format!("form[action=\"{action}\"]"))
            .find(same)?;
        // One that stands for Enter is not there to be seen.
        let buttons =
            || all::<web_sys::HtmlElement>(&form, "button[type=submit]:not([aria-hidden])");
        let pressed = buttons().find(|button| button.text_content() == posted.deed);
        pressed.or_else(|| buttons().next())
    }

    fn all<T: JsCast>(within: &web_sys::Element, what: &str) -> impl Iterator<Item = T> + use<T> {
        let found = within.query_selector_all(what).ok();
        let many = found.as_ref().map_or(0, web_sys::NodeList::length);
        (0..many).filter_map(move |at| found.as_ref()?.get(at)?.dyn_into().ok())
    }

    /// What a form is about: the values that nobody types.
    fn hidden_of(form: &web_sys::HtmlFormElement) -> Vec<String> {
        all::<web_sys::HtmlInputElement>(form, "input[type=hidden]")
            .map(|input| input.value())
            .collect()
    }

    /// What the controls of a form hold, as it would be posted.
    #[must_use]
    pub fn held_by(form: &str) -> Option<String> {
        let form = document().get_element_by_id(form)?;
        let form: web_sys::HtmlFormElement = form.dyn_into().ok()?;
        let data = web_sys::FormData::new_with_form(&form).ok()?;
        encoded(&data)?.to_string().as_string()
    }

    /// Posts the form as the browser would and returns where the server sends it.
    pub async fn post(posted: &Posted) -> Result<Option<String>, ApiError> {
        let action = posted.form.get_attribute("action").unwrap_or_default();
        let response = sent(&action, &posted.body).await?;
        Ok(response.headers().get("Location").ok().flatten())
    }

    /// Posts what a form holds to another address, and returns the answer's text.
    pub async fn ask(action: &str, body: &str) -> Result<String, ApiError> {
        let lost = |_| ApiError::new(ErrorCode::Unavailable);
        let response = sent(action, body).await?;
        let text = JsFuture::from(response.text().map_err(lost)?)
            .await
            .map_err(lost)?;
        Ok(text.as_string().unwrap_or_default())
    }

    async fn sent(action: &str, body: &str) -> Result<web_sys::Response, ApiError> {
        let lost = |_| ApiError::new(ErrorCode::Unavailable);
        let init = web_sys::RequestInit::new();
        init.set_method("POST");
        init.set_body(&JsValue::from_str(body));
        let request = web_sys::Request::new_with_str_and_init(action, &init).map_err(lost)?;
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
            return Ok(response);
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

    /// Ends what runs here. A page that was alive is loaded again, with the code that belongs to it;
    /// one that never came alive still works without any.
    pub fn let_go() -> ! {
        if document()
            .body()
            .is_some_and(|body| body.has_attribute("data-hydrated"))
        {
            let _ = window().location().reload();
        }
        wasm_bindgen::throw_str("the server speaks another version than this page")
    }

    pub fn mark_hydrated() {
        if let Some(body) = document().body() {
            let _ = body.set_attribute("data-hydrated", "");
        }
    }

    /// Tells the server, from the next request on, in which time zone its reader is.
    pub fn remember_zone() {
        let format =
            js_sys::Intl::DateTimeFormat::new(&js_sys::Array::new(), &js_sys::Object::new());
        let zone = get(&format.resolved_options(), "timeZone").and_then(|zone| zone.as_string());
        let Some(zone) = zone.filter(|zone| preferences::is_zone(zone)) else {
            return;
        };
        if preferences::zone_in(&cookies()) == Some(zone.as_str()) {
            return;
        }
        let secure = window().location().protocol().ok().as_deref() == Some("https:");
        let secure = if secure { "; Secure" } else { "" };
        let cookie = format!("{}{secure}", preferences::zone_cookie(&zone));
        let _ = js_sys::Reflect::set(&document(), &"cookie".into(), &cookie.into());
    }

    fn cookies() -> String {
        get(&document(), "cookie")
            .and_then(|cookies| cookies.as_string())
            .unwrap_or_default()
    }

    fn get(target: &JsValue, name: &str) -> Option<JsValue> {
        js_sys::Reflect::get(target, &JsValue::from_str(name)).ok()
    }

    fn call(target: &JsValue, name: &str) {
        if let Some(method) = get(target, name)
            && let Ok(method) = method.dyn_into::<js_sys::Function>()
        {
            let _ = method.call0(target);
        }
    }

    /// `/` goes to the search, unless somebody is typing or has turned that off.
    pub fn search_key(event: &web_sys::KeyboardEvent) {
        if event.key() != "/" || event.ctrl_key() || event.meta_key() || event.alt_key() {
            return;
        }
        let typing = event
            .target()
            .and_then(|target| target.dyn_into::<web_sys::Element>().ok())
            .is_some_and(|target| target.matches("input, textarea, select").unwrap_or(false));
        if typing || !preferences::search_key_in(&cookies()) {
            return;
        }
        event.prevent_default();
        if let Some(menu) = document().get_element_by_id("menu")
            && get(&menu, "offsetParent").is_none_or(|shown| shown.is_null())
        {
            call(&menu, "showPopover");
        }
        focus("rail-find");
    }

    /// Ticks every box of a list that has this name, or none.
    pub fn tick_all(name: &str, ticked: bool) {
        let Ok(boxes) = document().query_selector_all(&format!("input[name=\"{name}\"]")) else {
            return;
        };
        for at in 0..boxes.length() {
            if let Some(one) = boxes.get(at) {
                let _ = js_sys::Reflect::set(&one, &"checked".into(), &ticked.into());
            }
        }
    }

    /// Whether the page that was gone to is still loading.
    #[must_use]
    pub fn is_loading() -> bool {
        document()
            .query_selector("#main .bones")
            .ok()
            .flatten()
            .is_some()
            || document()
                .query_selector("#main h1")
                .ok()
                .flatten()
                .is_none()
    }

    /// After going to another page: focus its title, so that reading starts there.
    pub fn arrive() {
        if let Some(menu) = document().get_element_by_id("menu")
            && menu.matches(":popover-open").unwrap_or(false)
        {
            call(&menu, "hidePopover");
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

    /// Brings a line of a list into sight once it is there.
    pub fn show_option(id: &str) {
        let id = id.to_owned();
        leptos::prelude::request_animation_frame(move || {
            if let Some(line) = document().get_element_by_id(&id) {
                let options = web_sys::ScrollIntoViewOptions::new();
                options.set_block(web_sys::ScrollLogicalPosition::Nearest);
                line.scroll_into_view_with_scroll_into_view_options(&options);
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

    /// Has the browser make a passkey, or sign with one, and returns what it says as JSON. `asks` is
    /// what the server asked, `at` the address that passkeys belong to.
    pub async fn use_passkey(deed: Passkey, asks: &str, at: &str) -> Result<String, ApiError> {
        let unused = || ApiError::new(ErrorCode::PasskeyUnused);
        if window().location().origin().ok().as_deref() != Some(at) {
            return Err(ApiError::new(ErrorCode::PasskeysElsewhere).with(at));
        }
        let (parse, method) = match deed {
            Passkey::Make => ("parseCreationOptionsFromJSON", "create"),
            Passkey::Sign => ("parseRequestOptionsFromJSON", "get"),
        };
        let asked = async {
            let asks = js_sys::JSON::parse(asks).ok()?;
            let kind = get(&window(), "PublicKeyCredential").filter(JsValue::is_truthy)?;
            let options = method_of(&kind, parse)?.call1(&kind, &asks).ok()?;
            let wanted = js_sys::Object::new();
            js_sys::Reflect::set(&wanted, &"publicKey".into(), &options).ok()?;
            let keys = get(&get(&window(), "navigator")?, "credentials")?;
            let promise = method_of(&keys, method)?.call1(&keys, &wanted).ok()?;
            let made = JsFuture::from(promise.dyn_into::<js_sys::Promise>().ok()?)
                .await
                .ok()?;
            let plain = method_of(&made, "toJSON")?.call0(&made).ok()?;
            js_sys::JSON::stringify(&plain).ok()?.as_string()
        };
        asked.await.ok_or_else(unused)
    }

    fn method_of(target: &JsValue, name: &str) -> Option<js_sys::Function> {
        get(target, name)?.dyn_into().ok()
    }

    /// Puts a value into a hidden control, and sends its form.
    pub fn send_with(id: &str, value: &str) {
        if let Some(control) = document().get_element_by_id(id) {
            let _ = control.set_attribute("value", value);
            if let Some(form) = get(&control, "form") {
                call(&form, "requestSubmit");
            }
        }
    }

    /// In the reader's own time zone: year, month, day, hours, minutes, seconds, and whether it
    /// is today or this year.
    #[must_use]
    pub fn local(time: DateTime<Utc>) -> Option<crate::format::Local> {
        #[allow(clippy::cast_precision_loss, reason = "milliseconds of this age fit")]
        let date = js_sys::Date::new(&JsValue::from_f64(time.timestamp_millis() as f64));
        let today = js_sys::Date::new_0();
        let same_year = date.get_full_year() == today.get_full_year();
        Some(crate::format::Local {
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
    #[must_use]
    pub fn is_as_before(_: &Posted) -> bool {
        false
    }
    pub fn come_back(_: &Posted) {}
    pub fn say(_: &str) {}
    pub async fn post(_: &Posted) -> Result<Option<String>, ApiError> {
        Ok(None)
    }
    #[must_use]
    pub fn held_by(_: &str) -> Option<String> {
        None
    }
    pub async fn ask(_: &str, _: &str) -> Result<String, ApiError> {
        Err(ApiError::new(crate::api::ErrorCode::Unavailable))
    }
    pub fn show_option(_: &str) {}
    #[must_use]
    pub fn searched(_: &web_sys::SubmitEvent) -> Option<String> {
        None
    }
    pub fn leave_for(_: &str) {}
    #[cfg(test)]
    pub fn let_go() -> ! {
        unreachable!("only a browser reads what it trusts")
    }
    pub fn mark_hydrated() {}
    pub fn remember_zone() {}
    pub fn search_key(_: &web_sys::KeyboardEvent) {}
    pub fn tick_all(_: &str, _: bool) {}
    #[must_use]
    pub fn is_loading() -> bool {
        false
    }
    pub fn arrive() {}
    pub fn focus(_: &str) {}
    pub fn read_file(_: &web_sys::Event, _: &str) {}
    pub fn press(_: &str) {}
    pub async fn use_passkey(_: super::Passkey, _: &str, _: &str) -> Result<String, ApiError> {
        Err(ApiError::new(crate::api::ErrorCode::PasskeyUnused))
    }
    pub fn send_with(_: &str, _: &str) {}
    #[must_use]
    pub fn local(_: DateTime<Utc>) -> Option<crate::format::Local> {
        None
    }
}

#[cfg(not(feature = "hydrate"))]
pub use absent::*;
#[cfg(feature = "hydrate")]
pub use real::*;
