//! Expressions (CEL, cel.dev) over the variable `person`, Google's user as JSON.
//!
//! Evaluated only with the feature `expressions`; the browser asks the server for a preview. CEL
//! always terminates; length, nesting and the number of loops are limited so that it does so soon.

use serde_json::Value;

/// In characters.
pub const MAX_EXPRESSION_LENGTH: usize = 1000;
/// `map`, `filter`, `all`, `exists` and `exists_one` together.
const MAX_LOOPS: usize = 3;
#[cfg(feature = "expressions")]
const MAX_RESULT_LENGTH: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionProblem {
    #[error("the expression is empty; write one like person.name.givenName")]
    Empty,
    #[error("the expression has {0} characters; at most {MAX_EXPRESSION_LENGTH} are allowed")]
    TooLong(usize),
    #[error(
        "the expression has {0} loops (map, filter, all, exists); at most {MAX_LOOPS} are allowed"
    )]
    TooManyLoops(usize),
    #[error("the expression cannot be read at line {line}, character {column}: {message}")]
    Syntax {
        line: usize,
        column: usize,
        message: String,
    },
}

impl ExpressionProblem {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "expression-empty",
            Self::TooLong(_) => "expression-too-long",
            Self::TooManyLoops(_) => "expression-too-many-loops",
            Self::Syntax { .. } => "expression-syntax",
        }
    }
}

/// Everything that can be said of an expression without a person. Its syntax is checked only with
/// the feature `expressions`.
pub fn check_expression(text: &str) -> Result<(), ExpressionProblem> {
    limits(text)?;
    #[cfg(feature = "expressions")]
    compile(text)?;
    Ok(())
}

fn limits(text: &str) -> Result<(), ExpressionProblem> {
    if text.trim().is_empty() {
        return Err(ExpressionProblem::Empty);
    }
    let length = text.chars().count();
    if length > MAX_EXPRESSION_LENGTH {
        return Err(ExpressionProblem::TooLong(length));
    }
    let squeezed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let loops = [".map(", ".filter(", ".all(", ".exists(", ".exists_one("]
        .iter()
        .map(|name| squeezed.matches(name).count())
        .sum();
    if loops > MAX_LOOPS {
        return Err(ExpressionProblem::TooManyLoops(loops));
    }
    Ok(())
}

/// What an expression gave for one person.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(not(feature = "expressions"), allow(dead_code))]
pub(super) enum Evaluated {
    Value(Value),
    /// Null, blank, or a member that this person does not have.
    Missing,
    Failed(String),
    /// Built without the feature `expressions`.
    #[cfg_attr(feature = "expressions", expect(dead_code))]
    OnServer,
}

/// A compiled expression.
#[derive(Debug)]
pub(super) struct Expression {
    #[cfg(feature = "expressions")]
    program: cel::Program,
}

#[cfg(not(feature = "expressions"))]
impl Expression {
    pub(super) fn parse(text: &str) -> Result<Self, ExpressionProblem> {
        limits(text)?;
        Ok(Self {})
    }

    pub(super) fn evaluate(&self, _person: &Value) -> Evaluated {
        Evaluated::OnServer
    }
}

#[cfg(feature = "expressions")]
fn compile(text: &str) -> Result<cel::Program, ExpressionProblem> {
    cel::Program::compile(text).map_err(|errors| {
        let first = errors.errors.first();
        let place = |at: isize| usize::try_from(at).unwrap_or(1).max(1);
        ExpressionProblem::Syntax {
            line: first.map_or(1, |error| place(error.pos.0)),
            column: first.map_or(1, |error| place(error.pos.1)),
            message: first.map_or_else(|| errors.to_string(), |error| error.msg.clone()),
        }
    })
}

#[cfg(feature = "expressions")]
impl Expression {
    pub(super) fn parse(text: &str) -> Result<Self, ExpressionProblem> {
        limits(text)?;
        Ok(Self {
            program: compile(text)?,
        })
    }

    pub(super) fn evaluate(&self, person: &Value) -> Evaluated {
        let mut context = cel::Context::default();
        match cel::to_value(person) {
            Ok(person) => context.add_variable_from_value("person", person),
            Err(error) => return Evaluated::Failed(error.to_string()),
        }
        match self.program.execute(&context) {
            Ok(value) => match to_json(&value) {
                Some(Value::Null) => Evaluated::Missing,
                Some(Value::String(text)) if text.trim().is_empty() => Evaluated::Missing,
                Some(Value::String(text)) if text.len() > MAX_RESULT_LENGTH => {
                    Evaluated::Failed(format!("the result has {} bytes", text.len()))
                }
                Some(value) => Evaluated::Value(value),
                None => {
                    Evaluated::Failed("the result is not text, a number or true or false".into())
                }
            },
            Err(cel::ExecutionError::NoSuchKey(_) | cel::ExecutionError::IndexOutOfBounds(_)) => {
                Evaluated::Missing
            }
            // The message may hold the person's data, but it is shown to administrators only.
            Err(error) => Evaluated::Failed(error.to_string().chars().take(300).collect()),
        }
    }
}

#[cfg(feature = "expressions")]
fn to_json(value: &cel::Value) -> Option<Value> {
    Some(match value {
        cel::Value::Null => Value::Null,
        cel::Value::Bool(flag) => Value::Bool(*flag),
        cel::Value::Int(number) => Value::from(*number),
        cel::Value::UInt(number) => Value::from(*number),
        cel::Value::Float(number) => Value::from(*number),
        cel::Value::String(text) => Value::String(text.to_string()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_and_loops_are_limited() {
        assert_eq!(check_expression(" "), Err(ExpressionProblem::Empty));
        let long = format!("'{}'", "x".repeat(MAX_EXPRESSION_LENGTH));
        assert_eq!(
            check_expression(&long),
            Err(ExpressionProblem::TooLong(1002))
        );
        let loops = "a.map(x, x).filter(x, true) . map (x, x).all(x, true)";
        assert_eq!(
            check_expression(loops),
            Err(ExpressionProblem::TooManyLoops(4))
        );
        assert_eq!(check_expression("person.name.givenName"), Ok(()));
    }

    #[cfg(feature = "expressions")]
    #[test]
    fn expressions_are_evaluated_over_the_person() {
        let person = serde_json::json!({"name": {"givenName": "Ann", "familyName": "Lee"}, "n": 3, "organizations": []});
        let of = |text: &str| Expression::parse(text).unwrap().evaluate(&person);
        assert_eq!(
            of("person.name.givenName + ' ' + person.name.familyName"),
            Evaluated::Value("Ann Lee".into())
        );
        assert_eq!(of("person.n > 2"), Evaluated::Value(true.into()));
        assert_eq!(of("person.nickname"), Evaluated::Missing);
        assert_eq!(of("person.organizations[0].title"), Evaluated::Missing);
        assert_eq!(
            of("has(person.nickname) ? person.nickname : null"),
            Evaluated::Missing
        );
        assert!(matches!(of("person.name + 1"), Evaluated::Failed(_)));
        assert!(matches!(of("person.organizations"), Evaluated::Failed(_)));
        let place = |text: &str| match check_expression(text) {
            Err(ExpressionProblem::Syntax { line, column, .. }) => Some((line, column)),
            _ => None,
        };
        assert_eq!(place("person.("), Some((1, 8)));
        assert_eq!(place("person.name +\n  )"), Some((2, 3)));
    }
}
