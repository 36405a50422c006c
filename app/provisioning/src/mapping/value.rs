//! Values in the JSON type that the app wants.

use serde_json::Value;

use crate::catalog::AttributeKind;

/// A value in the JSON type that the attribute has. `kind` is `None` for unlisted attributes.
pub(crate) fn convert(
    value: &Value,
    kind: Option<AttributeKind>,
    max_length: Option<usize>,
) -> Result<Value, String> {
    let shape = |value: &Value| match value {
        Value::Null => "is empty",
        Value::Bool(_) => "is true or false",
        Value::Number(_) => "is a number",
        Value::String(_) => "is text",
        Value::Array(_) => "is a list",
        Value::Object(_) => "is an object",
    };
    let wrong = |wanted: &str| Err(format!("{} and not {wanted}", shape(value)));
    let converted = match kind {
        None => match value {
            Value::Null => return wrong("a value"),
            other => other.clone(),
        },
        Some(AttributeKind::String | AttributeKind::Email | AttributeKind::Reference) => {
            match value {
                Value::String(text) => Value::String(text.clone()),
                Value::Number(number) => Value::String(number.to_string()),
                Value::Bool(flag) => Value::String(flag.to_string()),
                _ => return wrong("text"),
            }
        }
        Some(AttributeKind::Boolean) => match value {
            Value::Bool(flag) => Value::Bool(*flag),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Value::Bool(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Value::Bool(false),
            _ => return wrong("true or false"),
        },
        Some(AttributeKind::Integer) => match value {
            Value::Number(number) if number.is_i64() || number.is_u64() => value.clone(),
            Value::String(text) => match text.trim().parse::<i64>() {
                Ok(number) => Value::from(number),
                Err(_) => return wrong("a whole number"),
            },
            _ => return wrong("a whole number"),
        },
        Some(AttributeKind::Decimal) => match value {
            Value::Number(_) => value.clone(),
            Value::String(text) => match text.trim().parse::<f64>() {
                Ok(number) if number.is_finite() => Value::from(number),
                _ => return wrong("a number"),
            },
            _ => return wrong("a number"),
        },
    };
    if let Value::String(text) = &converted {
        if kind == Some(AttributeKind::Email) && !looks_like_address(text) {
            return Err("is not an e-mail address".to_owned());
        }
        if let Some(max) = max_length.filter(|max| text.chars().count() > *max) {
            return Err(format!(
                "has more than the {max} characters that the app takes"
            ));
        }
    }
    Ok(converted)
}

fn looks_like_address(text: &str) -> bool {
    match text.rsplit_once('@') {
        Some((local, domain)) => {
            !local.is_empty() && !domain.is_empty() && !text.contains(char::is_whitespace)
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_take_the_type_of_the_attribute_or_are_refused() {
        use AttributeKind as K;
        let ok = |value: Value, kind, expected: Value| {
            assert_eq!(convert(&value, Some(kind), None), Ok(expected))
        };
        ok(json!(7), K::String, json!("7"));
        ok(json!("TRUE"), K::Boolean, json!(true));
        ok(json!("12"), K::Integer, json!(12));
        ok(json!("1.5"), K::Decimal, json!(1.5));
        for (value, kind) in [
            (json!([1]), K::String),
            (json!("yes"), K::Boolean),
            (json!(1.5), K::Integer),
            (json!("nobody"), K::Email),
            (json!("a b@c.d"), K::Email),
        ] {
            assert!(convert(&value, Some(kind), None).is_err(), "{value}");
        }
        assert!(convert(&json!("abcd"), Some(K::String), Some(3)).is_err());
    }
}
