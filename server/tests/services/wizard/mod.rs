//! From the catalogue to accounts in the app: each step is checked, kept, and turned on with
//! exactly the plan that was reviewed.

mod authorization;
mod editing;
mod lists;
mod steps;
mod turning_on;
mod walk;
