//! The server files under `server/` say the same as the crate.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cipher_broker::server_file::{self, Embedded, Node, Single};
use cipher_broker::{limit, stream, subject};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("server")
}

fn file(name: &str) -> &'static str {
    server_file::ALL.iter().find(|(path, _)| *path == name).expect("a server file of this name").1
}

#[test]
fn agreement_permissions_are_the_rendered_ones() {
    let path = folder().join("permissions.conf");
    let rendered = server_file::permissions();
    if super::blessing() {
        fs::write(&path, &rendered).unwrap();
    }
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        rendered,
        "CIPHER_BLESS=1 writes it anew; then read the diff"
    );
}

#[test]
fn agreement_every_server_file_is_in_the_crate() {
    let mut found = BTreeSet::new();
    for sub in ["", "cluster"] {
        for entry in fs::read_dir(folder().join(sub)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = path.strip_prefix(folder()).unwrap().to_str().unwrap().to_owned();
                assert_eq!(fs::read_to_string(&path).unwrap(), file(&name), "{name}");
                found.insert(name);
            }
        }
    }
    assert_eq!(found, server_file::ALL.iter().map(|(path, _)| (*path).to_owned()).collect());
}

#[test]
fn agreement_the_embedded_files_include_nothing_else() {
    let names: Vec<&str> = server_file::EMBEDDED.iter().map(|(path, _)| *path).collect();
    for (name, text) in server_file::EMBEDDED {
        for included in text.lines().filter_map(|line| line.trim().strip_prefix("include ./")) {
            assert!(names.contains(&included), "{name} includes {included}");
        }
    }
}

/// Names of variables that a file reads, following what it includes.
fn variables(name: &str) -> BTreeSet<String> {
    let mut read = BTreeSet::new();
    let parent = Path::new(name).parent().expect("a file has a folder");
    for line in file(name).lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if let Some(included) = line.strip_prefix("include ") {
            let included = match included.strip_prefix("../") {
                Some(above) => above.to_owned(),
                None => parent.join(included.trim_start_matches("./")).display().to_string(),
            };
            read.extend(variables(&included));
            continue;
        }
        for after in line.split("$CIPHER_").skip(1) {
            let end = after.find(|c: char| !c.is_ascii_uppercase() && c != '_').unwrap_or(after.len());
            read.insert(format!("CIPHER_{}", &after[..end]));
        }
    }
    read
}

#[test]
fn agreement_the_crate_renders_exactly_the_variables_a_file_reads() {
    let embedded = Embedded { port: None, http_port: None, store: "/s", registry_password: "r" };
    let single = Single {
        host: "127.0.0.1",
        port: None,
        http_port: None,
        store: "/s",
        agent_password: "a",
        registry_password: "r",
        operator_password: "o",
    };
    let routes = [("127.0.0.1", 1)];
    let node = Node { server: single, cluster_port: 1, routes: &routes, route_password: "p" };
    for (name, environment) in [
        ("embedded.conf", embedded.environment()),
        ("single.conf", single.environment()),
        ("cluster/n1.conf", node.environment()),
        ("cluster/n2.conf", node.environment()),
        ("cluster/n3.conf", node.environment()),
    ] {
        let rendered: BTreeSet<String> = environment.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(variables(name), rendered, "{name}");
    }
}

#[test]
fn agreement_every_variable_is_explained_in_some_file() {
    let explained: String = server_file::ALL
        .iter()
        .flat_map(|(_, text)| text.lines().filter(|line| line.starts_with("#   CIPHER_")))
        .collect();
    for (name, _) in server_file::ALL {
        for variable in variables(name) {
            assert!(explained.contains(&format!("#   {variable} ")), "{variable} of {name}");
        }
    }
}

#[test]
fn agreement_the_bounds_of_the_server_have_room_for_ours() {
    assert!(file("limits.conf").contains("max_payload: 1MB\n"));
    let payload = 1024 * 1024;
    let largest = usize::try_from(stream::MAX_MESSAGE_BYTES).unwrap();
    assert!(largest < payload && limit::REGISTRY_BYTES < payload);
    assert!(file("logins.conf").contains("max_streams: 64"));
    assert!(usize::from(subject::SHARDS) <= 64);
    for name in ["single.conf", "cluster/common.conf"] {
        assert!(file(name).contains("duplicate_window: \"5m\""), "{name}");
        assert!(limit::DUPLICATE_WINDOW.as_secs() <= 5 * 60);
    }
}

/// N10: a broker that keeps acknowledged messages in memory only may lose them.
#[test]
fn agreement_every_server_writes_to_disk_before_it_acknowledges() {
    for name in ["embedded.conf", "single.conf", "cluster/common.conf"] {
        assert!(file(name).lines().any(|line| line.trim() == "sync_interval: always"), "{name}");
    }
}
