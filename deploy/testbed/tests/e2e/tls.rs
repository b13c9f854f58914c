//! TLS from the server files that ship, and what each failure of it is called.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd,
};
use tempfile::TempDir;
use testbed::broker::TlsFiles;
use testbed::person::text;
use testbed::registry::Registry;
use testbed::{Broker, Person, Result, ensure};

/// An authority with a folder of its own for what it signs.
struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("testbed-tls-").tempdir()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        fs::write(folder.path().join("ca.pem"), params.self_signed(&key)?.pem())?;
        Ok(Self { folder, issuer: Issuer::new(params, key) })
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Certificate and key for a server and for a client.
    fn signs(&self, name: &str, hosts: &[&str], until: i32) -> Result<TlsFiles> {
        let mut params =
            CertificateParams::new(hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>())?;
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let file = |kind: &str| self.folder.path().join(format!("{name}-{kind}.pem"));
        fs::write(file("cert"), certificate.pem())?;
        fs::write(file("key"), key.serialize_pem())?;
        Ok(TlsFiles { certificate: file("cert"), key: file("key"), authorities: self.ca() })
    }
}

/// What is said, of which broker, with which settings.
type Case<'a> = (&'a str, String, &'a [(&'a str, &'a Path)]);

const HERE: [&str; 2] = ["127.0.0.1", "localhost"];

/// Settings in the file of the person's home.
fn settles(person: &Person, settings: &[(&str, &Path)]) -> Result {
    let folder = person.home().join(".config/cipher-chat");
    fs::create_dir_all(&folder)?;
    let lines: Vec<String> =
        settings.iter().map(|(key, path)| format!("{key} = '{}'\n", path.display())).collect();
    Ok(fs::write(folder.join("config.toml"), lines.concat())?)
}

/// Registry, two people, a message: everything goes by way of this broker.
fn talks(broker: &Broker, url: &str, registry: &[&str], settings: &[(&str, &Path)]) -> Result<Vec<Person>> {
    let mut registry = Registry::prepared(broker, registry)?;
    registry.start()?;
    let homes = tempfile::Builder::new().prefix("testbed-homes-").tempdir()?;
    let people: Vec<Person> =
        ["ana", "ben"].iter().map(|name| Person::new(name, homes.path(), url)).collect::<Result<_>>()?;
    for person in &people {
        settles(person, settings)?;
        person.registers()?;
    }
    let (ana, ben) = (&people[0], &people[1]);
    ana.creates("team", &["ben"])?;
    ben.accepts("team")?;
    let sent = ana.sends("team", "by this file")?;
    ensure(text(&sent, "state") == Some("sent"), || sent.to_string())?;
    ensure(ben.texts("team")?.contains(&"by this file".into()), || "not read".into())?;
    ana.does(&["doctor"])?;
    Ok(people)
}

/// Every server file that ships starts a broker that agent and registry talk to; those without TLS are what every
/// other test starts.
#[test]
fn a6_agent_and_registry_talk_to_brokers_from_every_server_file_that_ships() -> Result {
    let authority = Authority::new()?;
    let files = authority.signs("server", &HERE, 2090)?;
    let ca = authority.ca();
    let trusts = ["--tls-ca", &ca.to_string_lossy()].map(str::to_owned);
    let trusts: Vec<&str> = trusts.iter().map(String::as_str).collect();

    let broker = Broker::embedded()?;
    talks(&broker, &broker.servers(), &[], &[])?;
    drop(broker);

    // As shipped: TLS comes first.
    let broker = Broker::single_with_tls(&files, |_, text| text)?;
    talks(&broker, &broker.url(), &trusts, &[("tls_ca", &ca)])?;
    drop(broker);

    // A server that speaks before TLS, and wants a certificate of its clients.
    let client = authority.signs("client", &["client"], 2090)?;
    let broker = Broker::single_with_tls(&files, |name, text| match name {
        "tls.conf" => text.replace("handshake_first: true", "verify: true"),
        _ => text,
    })?;
    let (certificate, key) = (client.certificate.to_string_lossy(), client.key.to_string_lossy());
    let shows = [&trusts[..], &["--tls-cert", &certificate, "--tls-key", &key]].concat();
    let settings: [(&str, &Path); 3] =
        [("tls_ca", &ca), ("tls_cert", &client.certificate), ("tls_key", &client.key)];
    talks(&broker, &broker.url(), &shows, &settings)?;
    Ok(())
}

/// The same for three servers, which speak TLS among each other too.
#[test]
fn a6_a_cluster_with_tls_from_the_files_that_ship() -> Result {
    let authority = Authority::new()?;
    let files = authority.signs("server", &HERE, 2090)?;
    let ca = authority.ca();
    let broker = Broker::cluster_with_tls(&files)?;
    talks(&broker, &broker.url(), &["--tls-ca", &ca.to_string_lossy()], &[("tls_ca", &ca)])?;
    Ok(())
}

/// Agent, `doctor` and registry call each failure of TLS by its name, with exit 3.
#[test]
fn c3_each_failure_of_tls_is_named_by_agent_doctor_and_registry() -> Result {
    let (authority, other) = (Authority::new()?, Authority::new()?);
    let ca = authority.ca();
    let good = authority.signs("good", &HERE, 2090)?;
    let expired = authority.signs("expired", &HERE, 2021)?;
    let named = authority.signs("named", &["broker.example"], 2090)?;
    let homes = tempfile::Builder::new().prefix("testbed-homes-").tempdir()?;
    let plain = Broker::single()?;
    let mut registry = Registry::beside(&plain)?;
    let ana = Person::new("ana", homes.path(), &plain.url())?;
    ana.registers()?;
    registry.stop()?;

    let same = |_: &str, text: String| text;
    let wants = |name: &str, text: String| match name {
        "tls.conf" => text.replace("handshake_first: true", "handshake_first: true, verify: true"),
        _ => text,
    };
    let first = Broker::single_with_tls(&good, same)?;
    let upgrades = Broker::single_with_tls(&good, |name, text| match name {
        "tls.conf" => text.replace("handshake_first: true", ""),
        _ => text,
    })?;
    let verifying = Broker::single_with_tls(&good, wants)?;
    let past = Broker::single_with_tls(&expired, same)?;
    let misnamed = Broker::single_with_tls(&named, same)?;
    let stranger = other.signs("stranger", &["client"], 2090)?;

    let as_plain = |broker: &Broker| broker.url().replace("tls://", "nats://");
    let as_tls = |broker: &Broker| broker.url().replace("nats://", "tls://");
    let ca: (&str, &Path) = ("tls_ca", &ca);
    let theirs = other.ca();
    let pair = [ca, ("tls_cert", &stranger.certificate), ("tls_key", &stranger.key)];
    let forced: (&str, &Path) = ("tls_first", Path::new("yes"));
    let cases: [Case<'_>; 9] = [
        ("an authority that is not trusted here", first.url(), &[("tls_ca", &theirs)]),
        ("an authority that is not trusted here", upgrades.url(), &[("tls_ca", &theirs)]),
        ("its certificate is for broker.example, not for this name", misnamed.url(), &[ca]),
        ("its certificate has expired", past.url(), &[ca]),
        ("it wants a client certificate, and none is set", verifying.url(), &[ca]),
        ("it does not take our client certificate", verifying.url(), &pair),
        ("TLS is asked for (tls://), and it has none", as_tls(&plain), &[ca]),
        ("it speaks TLS only, from the first byte on", as_plain(&first), &[ca]),
        ("it speaks before TLS begins, and tls_first is yes", upgrades.url(), &[ca, forced]),
    ];
    for (words, url, settings) in &cases {
        settles(&ana, settings)?;
        let away = ana.by_way_of(url);
        let said = away.is_refused(3, "unreachable", &["sync"])?;
        ensure(said.stderr.contains(words), || format!("{words}\n{said}"))?;
        let doctor = away.run(&["doctor"])?.expecting(3)?;
        ensure(doctor.stdout.contains(words), || format!("{words}\n{doctor}"))?;
        let flags: Vec<String> = settings
            .iter()
            .flat_map(|(key, path)| [format!("--{}", key.replace('_', "-")), path.display().to_string()])
            .collect();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        registry.goes_to(&url.replace("agent:agent-password@", ""));
        let told = registry.shows(&[&flags[..], &["heads"]].concat())?.expecting(3)?;
        ensure(told.stderr.contains(words), || format!("{words}\n{told}"))?;
        ensure(!said.stderr.contains("agent-password"), || said.to_string())?;
    }
    Ok(())
}
