//! Reads what the server said, as wire types.
//!
//! In a browser the code that reads JSON into types was a quarter of the WebAssembly: most of it
//! gives back half-read values when a later field is wrong. What comes here was written by the
//! server of the same build, so nothing in it can be wrong, save when the server was replaced by
//! another version meanwhile. Then there is nothing to give back to: [`Never`] can't exist, and the
//! compiler leaves all of that out.

use crate::api::ApiError;
use serde::de::DeserializeOwned;

/// Reads what a server of this build said. In a browser that can't fail: what can't be read ends
/// the page.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, ApiError> {
    #[cfg(feature = "hydrate")]
    return Ok(trusted::read(text));
    #[cfg(not(feature = "hydrate"))]
    serde_json::from_str(text).map_err(|_| ApiError::new(crate::api::ErrorCode::Internal))
}

#[cfg(any(test, feature = "hydrate"))]
mod trusted {
    use serde::de::{
        self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Expected,
        IntoDeserializer, MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor,
        value::StringDeserializer,
    };
    use serde_json::{Map, Value};
    use std::fmt;

    pub fn read<T: DeserializeOwned>(text: &str) -> T {
        let Ok(value) = serde_json::from_str::<Value>(text) else {
            lost()
        };
        match T::deserialize(Said(value)) {
            Ok(read) => read,
            Err(never) => match never {},
        }
    }

    /// The server speaks another version.
    fn lost() -> ! {
        crate::browser::let_go()
    }

    /// An error that there can't be.
    #[derive(Debug)]
    pub enum Never {}

    impl fmt::Display for Never {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            match *self {}
        }
    }

    impl std::error::Error for Never {}

    impl de::Error for Never {
        fn custom<T: fmt::Display>(_: T) -> Self {
            lost()
        }
        fn invalid_type(_: Unexpected<'_>, _: &dyn Expected) -> Self {
            lost()
        }
        fn invalid_value(_: Unexpected<'_>, _: &dyn Expected) -> Self {
            lost()
        }
        fn invalid_length(_: usize, _: &dyn Expected) -> Self {
            lost()
        }
        fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
            lost()
        }
        fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
            lost()
        }
        fn missing_field(_: &'static str) -> Self {
            lost()
        }
        fn duplicate_field(_: &'static str) -> Self {
            lost()
        }
    }

    /// One value. A type is asked for by what it is, and given nothing else: no struct is also read
    /// from a list.
    struct Said(Value);

    impl Said {
        fn fields(self) -> Map<String, Value> {
            match self.0 {
                Value::Object(fields) => fields,
                _ => lost(),
            }
        }

        fn items(self) -> Vec<Value> {
            match self.0 {
                Value::Array(items) => items,
                _ => lost(),
            }
        }

        fn text(self) -> String {
            match self.0 {
                Value::String(text) => text,
                _ => lost(),
            }
        }

        fn number(&self) -> &serde_json::Number {
            match &self.0 {
                Value::Number(number) => number,
                _ => lost(),
            }
        }
    }

    /// Numbers by their widest type; each type checks that its own value fits.
    macro_rules! numbers {
        ($($method:ident: $read:ident, $visit:ident;)+) => {$(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Never> {
                match self.number().$read() {
                    Some(number) => visitor.$visit(number),
                    None => lost(),
                }
            }
        )+};
    }

    impl<'de> Deserializer<'de> for Said {
        type Error = Never;

        fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Never> {
            match self.0 {
                Value::Null => visitor.visit_unit(),
                Value::Bool(value) => visitor.visit_bool(value),
                Value::Number(number) => {
                    match (number.as_u64(), number.as_i64(), number.as_f64()) {
                        (Some(number), ..) => visitor.visit_u64(number),
                        (_, Some(number), _) => visitor.visit_i64(number),
                        (.., Some(number)) => visitor.visit_f64(number),
                        _ => lost(),
                    }
                }
                Value::String(text) => visitor.visit_string(text),
                Value::Array(items) => visitor.visit_seq(Items(items.into_iter())),
                Value::Object(fields) => visitor.visit_map(Fields::of(fields)),
            }
        }

        numbers! {
            deserialize_u8: as_u64, visit_u64;
            deserialize_u16: as_u64, visit_u64;
            deserialize_u32: as_u64, visit_u64;
            deserialize_u64: as_u64, visit_u64;
            deserialize_i8: as_i64, visit_i64;
            deserialize_i16: as_i64, visit_i64;
            deserialize_i32: as_i64, visit_i64;
            deserialize_i64: as_i64, visit_i64;
            deserialize_f32: as_f64, visit_f64;
            deserialize_f64: as_f64, visit_f64;
        }

        fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Never> {
            match self.0 {
                Value::Bool(value) => visitor.visit_bool(value),
                _ => lost(),
            }
        }

        fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Never> {
            visitor.visit_string(self.text())
        }

        fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Never> {
            visitor.visit_string(self.text())
        }

        fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Never> {
            match self.0 {
                Value::Null => visitor.visit_none(),
                value => visitor.visit_some(Self(value)),
            }
        }

        fn deserialize_newtype_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            visitor: V,
        ) -> Result<V::Value, Never> {
            visitor.visit_newtype_struct(self)
        }

        fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Never> {
            visitor.visit_seq(Items(self.items().into_iter()))
        }

        fn deserialize_tuple<V: Visitor<'de>>(
            self,
            _: usize,
            visitor: V,
        ) -> Result<V::Value, Never> {
            self.deserialize_seq(visitor)
        }

        fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Never> {
            visitor.visit_map(Fields::of(self.fields()))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            _: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Never> {
            self.deserialize_map(visitor)
        }

        /// A word, or one field with what it holds.
        fn deserialize_enum<V: Visitor<'de>>(
            self,
            _: &'static str,
            _: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Never> {
            let (word, holds) = match self.0 {
                Value::String(word) => (word, Value::Null),
                value => match Self(value).fields().into_iter().next() {
                    Some(one) => one,
                    None => lost(),
                },
            };
            visitor.visit_enum(Variant { word, holds })
        }

        fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Never> {
            visitor.visit_string(self.text())
        }

        serde::forward_to_deserialize_any! {
            i128 u128 char bytes byte_buf unit unit_struct tuple_struct ignored_any
        }
    }

    struct Items(std::vec::IntoIter<Value>);

    impl<'de> SeqAccess<'de> for Items {
        type Error = Never;

        fn next_element_seed<T: DeserializeSeed<'de>>(
            &mut self,
            seed: T,
        ) -> Result<Option<T::Value>, Never> {
            match self.0.next() {
                Some(value) => seed.deserialize(Said(value)).map(Some),
                None => Ok(None),
            }
        }

        fn size_hint(&self) -> Option<usize> {
            Some(self.0.len())
        }
    }

    struct Fields {
        left: serde_json::map::IntoIter,
        value: Value,
    }

    impl Fields {
        fn of(fields: Map<String, Value>) -> Self {
            Self {
                left: fields.into_iter(),
                value: Value::Null,
            }
        }
    }

    impl<'de> MapAccess<'de> for Fields {
        type Error = Never;

        fn next_key_seed<K: DeserializeSeed<'de>>(
            &mut self,
            seed: K,
        ) -> Result<Option<K::Value>, Never> {
            match self.left.next() {
                Some((name, value)) => {
                    self.value = value;
                    seed.deserialize(name.into_deserializer()).map(Some)
                }
                None => Ok(None),
            }
        }

        fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Never> {
            seed.deserialize(Said(self.value.take()))
        }
    }

    struct Variant {
        word: String,
        holds: Value,
    }

    impl<'de> EnumAccess<'de> for Variant {
        type Error = Never;
        type Variant = Said;

        fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Said), Never> {
            let word: StringDeserializer<Never> = self.word.into_deserializer();
            Ok((seed.deserialize(word)?, Said(self.holds)))
        }
    }

    impl<'de> VariantAccess<'de> for Said {
        type Error = Never;

        fn unit_variant(self) -> Result<(), Never> {
            Ok(())
        }

        fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Never> {
            seed.deserialize(self)
        }

        fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Never> {
            self.deserialize_seq(visitor)
        }

        fn struct_variant<V: Visitor<'de>>(
            self,
            _: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Never> {
            self.deserialize_map(visitor)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::trusted;
    use chrono::{DateTime, Utc};
    use serde::{Deserialize, Serialize, de::DeserializeOwned};
    use std::{collections::BTreeMap, fmt::Debug};
    use uuid::Uuid;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Id(String);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Plain {
        OneWord,
        Holds(u32),
        Pair(i64, bool),
        Fields {
            name: String,
            at: Option<DateTime<Utc>>,
        },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case", tag = "kind")]
    enum Tagged {
        Nothing,
        Some { many: Vec<u8>, one: Option<Plain> },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "of", content = "effect")]
    enum Beside {
        Nothing,
        Some(Box<Tagged>),
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Everything {
        id: Id,
        uuid: Uuid,
        at: DateTime<Utc>,
        small: i16,
        large: u64,
        below: i64,
        share: f64,
        whole: f64,
        yes: bool,
        nothing: Option<u32>,
        missing: Option<String>,
        unit: (),
        pair: (u8, String),
        plain: Vec<Plain>,
        tagged: Vec<Tagged>,
        beside: Vec<Beside>,
        by_name: BTreeMap<String, Option<f32>>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left_out: Vec<u8>,
    }

    fn everything() -> Everything {
        let at = DateTime::from_timestamp(1_790_000_000, 500_000_000).unwrap_or_default();
        Everything {
            id: Id("a \"quoted\" \u{1f600} name".to_owned()),
            uuid: Uuid::from_u128(7),
            at,
            small: -3,
            large: u64::MAX,
            below: i64::MIN,
            share: 0.25,
            whole: 3.0,
            yes: true,
            nothing: None,
            missing: Some(String::new()),
            unit: (),
            pair: (1, "two".to_owned()),
            plain: vec![
                Plain::OneWord,
                Plain::Holds(4),
                Plain::Pair(-1, false),
                Plain::Fields {
                    name: "n".to_owned(),
                    at: Some(at),
                },
            ],
            tagged: vec![
                Tagged::Nothing,
                Tagged::Some {
                    many: vec![1, 2],
                    one: Some(Plain::Holds(9)),
                },
            ],
            beside: vec![
                Beside::Nothing,
                Beside::Some(Box::new(Tagged::Some {
                    many: Vec::new(),
                    one: None,
                })),
            ],
            by_name: [("a".to_owned(), Some(1.5)), ("b".to_owned(), None)].into(),
            left_out: Vec::new(),
        }
    }

    fn same<T: DeserializeOwned + Serialize + PartialEq + Debug>(value: &T) {
        let text = serde_json::to_string(value).expect("wire types are JSON");
        assert_eq!(trusted::read::<T>(&text), *value, "{text}");
    }

    #[test]
    fn a_browser_reads_every_kind_of_wire_type_as_the_server_wrote_it() {
        same(&everything());
        same(&vec![everything(), everything()]);
        same(&Option::<Everything>::None);
    }

    #[test]
    fn fields_may_be_new_missing_or_in_another_order() {
        let text = r#"{"new": {"a": [1]}, "many": [], "kind": "some"}"#;
        let read: Tagged = trusted::read(text);
        assert_eq!(
            read,
            Tagged::Some {
                many: Vec::new(),
                one: None
            }
        );
    }
}
