//! Parts of pages. Most are plain functions: they take values and give a view.

mod confirm;
mod finder;
mod form;
mod frame;
mod kept;
mod loading;
mod page;
mod parts;
mod passkey;
mod picker;
mod picture;
mod reader;
mod time;

pub use confirm::{code_field, confirm_form, confirm_link, is_confirmed, may_change, next_page};
pub use finder::{default_button, group_finder};
pub use form::{
    Field, GetForm, LiveErrors, PostForm, confirmed_button, field_error, hidden, labelled,
    plain_button,
};
pub use frame::{Arrivals, SignedIn, provide};
pub use loading::{Loading, follow, keep_fresh, load, load_unless};
pub use page::{
    app_page, asked, carrying, confirmation, crumbs, error_state, head, loaded, pager, param,
    query, title, waiting,
};
pub use parts::{
    button_link, change_list, chip, empty, fact, facts, figure, figures, icon, must, note,
    note_plain, op, op_done, person_ref, person_why, sheet, state_chip, strip, strip_item, words,
};
pub use passkey::{Asker, new_passkey_form, passkey_form};
pub use picker::{Choice, Choices, Picker};
pub use picture::{Lane, Tick, by_day, lane, roll, tally};
pub use reader::{EditForm, deed, deed_or_why, read_only};
pub use time::{Show, moment, time, time_day, until, with_times};
