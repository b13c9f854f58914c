//! The JSON of every request, reply, event, notice, hint, error and frame, as it is and stays.

mod event;
mod frame;
mod golden;
mod hint;
mod method;
mod reader;
mod sample;
