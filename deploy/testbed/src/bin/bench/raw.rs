//! Raw baselines: OpenMLS alone, JetStream alone.

use std::time::Instant;

use async_nats::jetstream::message::PublishMessage;
use async_nats::{Client, HeaderMap, jetstream};
use cipher_broker::header;
use cipher_broker::id::GroupId;
use cipher_broker::limit;
use cipher_broker::subject::{Route, Source};
use futures::StreamExt;
use openmls::prelude::tls_codec::{Deserialize, Serialize};
use openmls::prelude::{
    BasicCredential, Ciphersuite, CredentialWithKey, KeyPackage, MlsGroup, MlsGroupCreateConfig,
    MlsGroupJoinConfig, MlsMessageBodyIn, MlsMessageIn, ProcessedMessageContent, ProtocolMessage,
    SenderRatchetConfiguration, StagedWelcome,
};
use openmls_basic_credential::SignatureKeyPair;
use serde_json::json;
use testbed::{Failure, Result, ensure};

use crate::figure::number;
use crate::free::Free;

const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519;

/// Two live members of a group of a given size.
pub(crate) struct Pair {
    sender: (Free, SignatureKeyPair, MlsGroup),
    receiver: (Free, MlsGroup),
}

fn mls(error: impl std::fmt::Debug) -> Failure {
    Failure::new(format!("raw OpenMLS: {error:?}"))
}

fn ratchets() -> SenderRatchetConfiguration {
    SenderRatchetConfiguration::new(limit::RATCHET_OUT_OF_ORDER, limit::RATCHET_FORWARD)
}

fn somebody(provider: &Free) -> Result<(SignatureKeyPair, CredentialWithKey, KeyPackage)> {
    let keys = SignatureKeyPair::new(SUITE.signature_algorithm()).map_err(mls)?;
    let credential = BasicCredential::new(keys.to_public_vec());
    let credential =
        CredentialWithKey { credential: credential.into(), signature_key: keys.to_public_vec().into() };
    let package = KeyPackage::builder().build(SUITE, provider, &keys, credential.clone()).map_err(mls)?;
    Ok((keys, credential, package.key_package().clone()))
}

impl Pair {
    /// A group with the same suite, padding and ratchets as ours.
    pub(crate) fn of(size: usize) -> Result<Self> {
        let (sender, receiver, others) = (Free::default(), Free::default(), Free::default());
        let (keys, credential, _) = somebody(&sender)?;
        let (_, _, package) = somebody(&receiver)?;
        let mut packages = vec![package];
        for _ in 2..size {
            packages.push(somebody(&others)?.2);
        }
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(SUITE)
            .padding_size(limit::PADDING_BYTES)
            .sender_ratchet_configuration(ratchets())
            .use_ratchet_tree_extension(true)
            .build();
        let mut group = MlsGroup::new(&sender, &keys, &config, credential).map_err(mls)?;
        let (_, welcome, _) = group.add_members(&sender, &keys, &packages).map_err(mls)?;
        group.merge_pending_commit(&sender).map_err(mls)?;
        let welcome = MlsMessageIn::tls_deserialize_exact(welcome.tls_serialize_detached().map_err(mls)?)
            .map_err(mls)?;
        let MlsMessageBodyIn::Welcome(welcome) = welcome.extract() else {
            return testbed::fail("no Welcome");
        };
        let config = MlsGroupJoinConfig::builder()
            .padding_size(limit::PADDING_BYTES)
            .sender_ratchet_configuration(ratchets())
            .build();
        let joined = StagedWelcome::new_from_welcome(&receiver, &config, welcome, None)
            .and_then(|staged| staged.into_group(&receiver))
            .map_err(mls)?;
        Ok(Self { sender: (sender, keys, group), receiver: (receiver, joined) })
    }

    /// Encrypts and decrypts that many messages of a size; gives both rates per second.
    pub(crate) fn rates(&mut self, count: usize, size: usize) -> Result<(f64, f64)> {
        let text = vec![b'x'; size];
        let (provider, keys, group) = &mut self.sender;
        let begun = Instant::now();
        let sealed = (0..count)
            .map(|_| {
                let message = group.create_message(provider, keys, &text).map_err(mls)?;
                message.tls_serialize_detached().map_err(mls)
            })
            .collect::<Result<Vec<_>>>()?;
        let sending = number(count) / begun.elapsed().as_secs_f64();

        let (provider, group) = &mut self.receiver;
        let begun = Instant::now();
        for bytes in &sealed {
            let message = MlsMessageIn::tls_deserialize_exact(bytes).map_err(mls)?;
            let message: ProtocolMessage = message.try_into_protocol_message().map_err(mls)?;
            let processed = group.process_message(provider, message).map_err(mls)?;
            let ProcessedMessageContent::ApplicationMessage(opened) = processed.into_content() else {
                return testbed::fail("not an application message");
            };
            ensure(opened.into_bytes().len() == size, || "another text came out".into())?;
        }
        Ok((sending, number(count) / begun.elapsed().as_secs_f64()))
    }
}

/// Publishes that many messages with ids to the stream of a group that is nobody's, `window` in flight; gives the
/// rate per second.
pub(crate) async fn publish(
    client: &Client,
    group: GroupId,
    count: usize,
    bytes: &[u8],
    window: usize,
) -> Result<f64> {
    let context = jetstream::new(client.clone());
    let subject = Route::Application(group).to_string();
    let begun = Instant::now();
    let mut acks = futures::stream::iter(0..count)
        .map(|n| {
            let (context, subject, payload) = (context.clone(), subject.clone(), bytes.to_vec());
            async move {
                let id = format!("{subject}-{n}-{}", payload.len());
                let publish = PublishMessage::build().message_id(id).payload(payload.into());
                context.send_publish(subject, publish).await?.await
            }
        })
        .buffer_unordered(window);
    while let Some(ack) = acks.next().await {
        ack?;
    }
    Ok(number(count) / begun.elapsed().as_secs_f64())
}

/// Reads a group's log by batched direct get, as an agent does; gives messages per second.
pub(crate) async fn read(client: &Client, group: GroupId) -> Result<(usize, f64)> {
    let source = Source::Group(group);
    let (stream, filter) = (source.stream(), source.filter());
    let begun = Instant::now();
    let (mut from, mut count) = (1_u64, 0_usize);
    loop {
        let ask = json!({
            "seq": from, "next_by_subj": filter, "batch": limit::FETCH_MESSAGES, "max_bytes": limit::FETCH_BYTES,
        });
        let inbox = client.new_inbox();
        let mut replies = client.subscribe(inbox.clone()).await?;
        client
            .publish_with_reply(format!("$JS.API.DIRECT.GET.{stream}"), inbox, ask.to_string().into())
            .await?;
        let mut more = false;
        while let Some(message) = replies.next().await {
            let headers = message.headers.unwrap_or_else(HeaderMap::new);
            let number = |name: &str| headers.get(name).and_then(|value| value.as_str().parse::<u64>().ok());
            if message.status.is_some() {
                more = number(header::NUM_PENDING).is_some_and(|pending| pending > 0);
                break;
            }
            from = number(header::SEQUENCE).map_or(from, |sequence| sequence + 1);
            count += 1;
        }
        if !more {
            return Ok((count, number(count) / begun.elapsed().as_secs_f64()));
        }
    }
}
