//! Broker, registry and people together.

use std::time::Duration;

use cipher_broker::subject;
use tempfile::TempDir;

use crate::broker::Broker;
use crate::failure::{Result, fail};
use crate::fault::Fault;
use crate::person::Person;
use crate::raw;
use crate::registry::Registry;

/// A whole deployment. Everything ends and is wiped when dropped.
#[derive(Debug)]
pub struct Site {
    // In this order: who needs the broker ends before it does.
    /// The registry.
    pub registry: Registry,
    /// The broker.
    pub broker: Broker,
    homes: TempDir,
}

impl Site {
    /// One broker node and a registry.
    pub fn single() -> Result<Self> {
        Self::with(Broker::single()?)
    }

    /// Three broker nodes and a registry; every stream has three copies.
    pub fn cluster() -> Result<Self> {
        Self::with(Broker::cluster()?)
    }

    fn with(broker: Broker) -> Result<Self> {
        let registry = Registry::beside(&broker).map_err(|failure| failure.and(broker.log(0)))?;
        reachable(&broker)?;
        let homes = tempfile::Builder::new().prefix("testbed-homes-").tempdir()?;
        Ok(Self { registry, broker, homes })
    }

    /// Somebody new, without an account.
    pub fn person(&self, name: &str) -> Result<Person> {
        Person::new(name, self.homes.path(), &self.broker.url())
    }

    /// Somebody with an account.
    #[track_caller]
    pub fn registered(&self, name: &str) -> Result<Person> {
        let person = self.person(name)?;
        person.registers()?;
        Ok(person)
    }

    /// A proxy in front of the first server.
    pub fn fault(&self) -> Result<Fault> {
        Fault::before(self.broker.address(0)?)
    }

    /// The same person through a proxy.
    pub fn through(&self, fault: &Fault, person: &Person) -> Person {
        person.by_way_of(&self.broker.url_by_way_of(fault.port()))
    }

    /// A group whose other members have accepted.
    #[track_caller]
    pub fn group(&self, name: &str, owner: &Person, others: &[&Person]) -> Result {
        let handles: Vec<&str> = others.iter().map(|other| other.name()).collect();
        owner.creates(name, &handles)?;
        for other in others {
            other.accepts(name)?;
        }
        Ok(())
    }
}

/// Waits until the registry can be reached by way of every server: they tell each other who listens to what.
fn reachable(broker: &Broker) -> Result {
    // A thread of its own: the caller may be inside a runtime.
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            broker
                .addresses()?
                .into_iter()
                .try_for_each(|address| runtime.block_on(answered(broker, address)))
        });
        asking.join().unwrap_or_else(|_| fail("asking the registry panicked"))
    })
}

async fn answered(broker: &Broker, address: async_nats::ServerAddr) -> Result {
    let client = raw::as_agent(broker).connect(&[address][..]).await?;
    let ping = subject::registry("ping");
    for _ in 0..200 {
        if client.request(ping.clone(), "?".into()).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    fail("the registry cannot be reached by way of every server")
}
