//! The two halves of the table say the same, of every method that there is.

use std::collections::BTreeMap;

use cipher_api::request::METHODS;
use cipher_api::rpc;
use serde_json::Value;

use super::*;

/// Every request that the contract has golden JSON of, by method.
fn samples() -> BTreeMap<String, Vec<Value>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/api/tests/golden");
    let mut samples = BTreeMap::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let Value::Object(methods) = serde_json::from_str(&text).unwrap() else { continue };
        for (method, golden) in methods {
            if METHODS.contains(&method.as_str()) {
                samples.insert(method, golden["params"].as_array().unwrap().clone());
            }
        }
    }
    samples
}

/// Of the place of a request.
fn right_of(place: &Place<'_>) -> Option<Right> {
    match place {
        Place::Barred => None,
        Place::Everywhere => Some(Right::Everywhere),
        Place::Narrowed => Some(Right::Narrowed),
        Place::Target(_) | Place::Group(_) | Place::Message(_) => Some(Right::Conversation),
    }
}

#[test]
fn r_token_01_every_method_is_decided_and_the_decision_is_one() {
    let samples = samples();
    for method in METHODS {
        for params in samples.get(*method).unwrap_or_else(|| panic!("no sample of {method}")) {
            let mut command = Command::from_method(method, params.clone()).unwrap().unwrap();
            let asked = right_of(&asks(&mut command).place);
            // Requests to join are asked of one conversation, or of all for a narrower answer; a search of one, or of all by who may
            // read all.
            if ["invite.requests", "message.search"].contains(method) {
                assert!(asked.is_some());
            } else {
                assert_eq!(asked, right(method), "{method}: {params}");
            }
        }
    }
}

#[test]
fn r_token_01_no_token_gets_account_contacts_devices_or_evidence() {
    let barred = ["account.", "profile.", "contact.", "device.", "evidence.", "status"];
    for method in METHODS {
        if barred.iter().any(|noun| method.starts_with(noun)) {
            assert_eq!(right(method), None, "{method}");
            assert_eq!(named(method).count(), 0);
        }
    }
    for method in ["bot.card", "bot.prepare", "bot.sign", "token.create", "make.tea", "hello", "*", ""] {
        assert_eq!(right(method), None, "{method}");
        assert_eq!(named(method).count(), 0);
    }
}

#[test]
fn every_row_is_of_a_method_that_there_is_and_a_noun_names_what_a_token_can_have() {
    for (name, _) in ROWS {
        assert!(METHODS.contains(&name) || rpc::METHODS.contains(&name), "{name}");
    }
    assert!(USUAL.iter().chain(&ALWAYS).all(|name| right(name).is_some()));
    assert_eq!(named("bot.*").collect::<Vec<_>>(), ["bot.events", "bot.handled"]);
    assert_eq!(named("message.send").collect::<Vec<_>>(), ["message.send"]);
    assert_eq!(named("device.*").count() + named("connection").count() + named("mess*").count(), 0);
}

#[test]
fn what_is_kept_under_a_name_is_asked_for_by_that_name() {
    let samples = samples();
    for (method, name) in [
        ("event.acknowledge", "subscriber"),
        ("bot.events", "bot"),
        ("bot.handled", "bot"),
        ("event.list", "subscriber"),
    ] {
        for params in &samples[method] {
            let mut command = Command::from_method(method, params.clone()).unwrap().unwrap();
            assert_eq!(asks(&mut command).name, params[name].as_str(), "{method}");
        }
    }
}
