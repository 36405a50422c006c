//! Values of controls that leave alone what somebody typed before the page came alive.

use leptos::tachys::{
    html::property::IntoProperty,
    renderer::{Rndr, types::Element},
};
use leptos::wasm_bindgen::JsValue;

/// A property of a control: set when the control is built, and when its value changes afterwards.
///
/// A plain `prop:` is also set when a page that the server sent comes alive, and so wipes what was
/// typed or chosen until then.
pub struct Kept<V>(pub V);

impl<V: Into<JsValue> + Clone + 'static> IntoProperty for Kept<V> {
    type State = (Element, JsValue);
    type Cloneable = Kept<V>;
    type CloneableOwned = Kept<V>;

    fn hydrate<const FROM_SERVER: bool>(self, element: &Element, key: &str) -> Self::State {
        if FROM_SERVER {
            (element.clone(), self.0.into())
        } else {
            self.build(element, key)
        }
    }

    fn build(self, element: &Element, key: &str) -> Self::State {
        let value = self.0.into();
        Rndr::set_property_or_value(element, key, &value);
        (element.clone(), value)
    }

    fn rebuild(self, state: &mut Self::State, key: &str) {
        let (element, before) = state;
        let value = self.0.into();
        if *before != value {
            Rndr::set_property_or_value(element, key, &value);
            *before = value;
        }
    }

    fn into_cloneable(self) -> Self::Cloneable {
        self
    }

    fn into_cloneable_owned(self) -> Self::CloneableOwned {
        self
    }
}

impl<V: Clone> Clone for Kept<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
