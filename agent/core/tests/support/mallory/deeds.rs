//! What a hostile member does.

use cipher_broker::certificate::DeviceCertificate;
use cipher_broker::codec;
use cipher_broker::id::{DeviceId, MessageId};
use cipher_broker::limit;
use cipher_broker::sign::{Purpose, Signed, wire_hash};
use cipher_broker::subject::{Route, Source};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::{CONTACT_ACCEPTED, SYNC, TEXT};
use cipher_broker::wire::envelope::{CommitNote, Envelope, WelcomeNote};
use cipher_broker::wire::group::{GroupData, Role};
use cipher_broker::wire::rejoin::{NotMemberBody, RejoinBody, RejoinRequest};
use openmls::prelude::LeafNodeIndex;
use openmls_traits::OpenMlsProvider as _;
use serde_bytes::{ByteArray, ByteBuf};
use tls_codec::Serialize as _;

use super::{Change, Mallory, authenticator, data_of, packed, seal, tree_label, twin};
use crate::support::world::World;

/// How many different things it does.
pub(crate) const DEEDS: usize = 26;

impl Mallory {
    /// It does something, now and then.
    pub(crate) fn acts(&mut self, world: &mut World) {
        self.reads(world);
        // The last word in most of its groups is its own.
        let mut here: Vec<usize> =
            (0..self.groups.len()).filter(|at| self.groups[*at].mls.is_active()).collect();
        if here.is_empty() || !self.dice.chance(500) {
            return;
        }
        let at = here.swap_remove(self.dice.below(here.len()));
        let what = match self.dice.below(10) {
            0..=4 => self.talks(world, at),
            5..=7 => self.commits(world, at),
            8 => self.invites(world, at),
            _ => self.asks_and_answers(world, at),
        };
        if let Some(what) = what {
            world.note(|| format!("  mallory: {what}"));
            self.did.push(what);
        }
    }

    fn talks(&mut self, world: &mut World, at: usize) -> Option<&'static str> {
        let route = Route::Application(self.groups[at].id);
        let roll = self.dice.roll() % 1000;
        let plain = codec::encode(&self.content(world, TEXT, &format!("mallory says {roll}")));
        Some(match self.dice.below(12) {
            0..=1 => {
                let bytes = self.sealed(at, Vec::new(), &plain)?;
                Self::says(world, route, bytes);
                "says something"
            }
            2 => {
                for _ in 0..3 {
                    let bytes = self.sealed(at, Vec::new(), &plain)?;
                    Self::says(world, route, bytes);
                }
                "says the same three times, with keys of its own each"
            }
            3 => {
                let aad = self.dice.bytes(40);
                let bytes = self.sealed(at, aad, &plain)?;
                Self::says(world, route, bytes);
                "says something with other authenticated data"
            }
            4 => {
                let kind = *self.dice.pick(&[
                    "removed",
                    "added",
                    "renamed",
                    "event",
                    "",
                    SYNC,
                    CONTACT_ACCEPTED,
                    "hologram",
                ]);
                let mut content = self.content(world, kind, "@alice removed @bob");
                content.data = Some(ByteBuf::from(self.dice.bytes(60)));
                let bytes = self.sealed(at, Vec::new(), &codec::encode(&content))?;
                Self::says(world, route, bytes);
                "calls its words what an agent tells of"
            }
            5 => {
                let mut content = self.content(world, TEXT, "from the future");
                content.sent_at =
                    Timestamp::from_millis(*self.dice.pick(&[0, u64::MAX, 253_402_300_800_000]));
                content.reply_to = Some(MessageId::from_bytes(self.random()));
                content.hops = 255;
                let bytes = self.sealed(at, Vec::new(), &codec::encode(&content))?;
                Self::says(world, route, bytes);
                "gives its words another time and place"
            }
            6 => {
                let noise = self.dice.below(200);
                let noise = self.dice.bytes(noise);
                let bytes = self.sealed(at, Vec::new(), &noise)?;
                Self::says(world, route, bytes);
                "seals noise"
            }
            7 => {
                let mut many = Vec::new();
                for n in 0..self.dice.between(2, 6) {
                    let content = self.content(world, TEXT, &format!("mallory says {roll}.{n}"));
                    many.push(self.sealed(at, Vec::new(), &codec::encode(&content))?);
                }
                while !many.is_empty() {
                    let next = many.swap_remove(self.dice.below(many.len()));
                    Self::says(world, route, next);
                }
                "says things in another order than it sealed them"
            }
            8 => {
                let far = *self.dice.pick(&[20, 600]);
                for _ in 0..far {
                    self.sealed(at, Vec::new(), b"nothing")?;
                }
                let bytes = self.sealed(at, Vec::new(), &plain)?;
                Self::says(world, route, bytes);
                "says something far ahead"
            }
            9 => {
                let bytes = self.sealed(at, Vec::new(), &plain)?;
                self.groups[at].kept.push(bytes);
                "keeps what it sealed"
            }
            10 => {
                let bytes = self.groups[at].kept.pop()?;
                Self::says(world, route, bytes);
                "says what it kept"
            }
            _ => {
                let bytes = self.sealed(at, Vec::new(), &plain)?;
                Self::misplaces(world, Route::Handshake(self.groups[at].id), bytes);
                "says something where commits lie"
            }
        })
    }

    fn role(&self, at: usize) -> Role {
        data_of(&self.groups[at].mls).role_of(&self.account)
    }

    /// What a commit says of itself: mostly what is true.
    fn note(&mut self, at: usize) -> Vec<u8> {
        let copy = &self.groups[at];
        let mut note = CommitNote::after(&copy.link, Vec::new());
        match self.dice.below(6) {
            0 => (note.sequence, note.hash) = (self.dice.roll() % 100, [9; 32]),
            1 => {
                let body = CommitNote::new_keys(&copy.id, copy.mls.epoch().as_u64());
                let signed = Signed::new(&self.device_key, Purpose::NewKeys, body);
                note.heal = ByteBuf::from(codec::encode(&signed));
            }
            2 => {
                let signed = Signed::new(&self.device_key, Purpose::Rejoin, b"nothing".to_vec());
                (note.rejoins, note.evidence) = (vec![signed.clone()], vec![signed]);
            }
            3 => return self.dice.bytes(30),
            _ => {}
        }
        codec::encode(&note)
    }

    fn somebody_else(&mut self, at: usize) -> Option<(LeafNodeIndex, DeviceCertificate)> {
        let own = self.groups[at].mls.own_leaf_index();
        let others: Vec<_> = self.groups[at].mls.members().filter(|member| member.index != own).collect();
        let member = others.get(self.dice.below(others.len()))?;
        let certificate = codec::decode(member.credential.serialized_content()).ok()?;
        Some((member.index, certificate))
    }

    fn commits(&mut self, world: &mut World, at: usize) -> Option<&'static str> {
        let (id, role) = (self.groups[at].id, self.role(at));
        let data = data_of(&self.groups[at].mls);
        let (leaf, certificate) = self.somebody_else(at)?;
        let theirs = certificate.verify().ok()?;
        let change_data = |data: &GroupData| Change { data: Some(codec::encode(data)), ..Change::default() };
        let note = self.note(at);
        let (what, change, counts) = match self.dice.below(11) {
            0..=2 => ("takes new keys", Change::default(), true),
            3 => {
                // Nobody removes an owner but an owner, nor an admin but an owner.
                let outranked = role > Role::Member && role > data.role_of(&theirs.account);
                let removes = Change { removes: vec![leaf], ..Change::default() };
                if outranked || role == Role::Owner || theirs.account == self.account {
                    return None;
                }
                ("removes whom it may not", removes, false)
            }
            4 => {
                let leaf = Some(self.credential(&certificate));
                ("takes another's certificate", Change { leaf, ..Change::default() }, false)
            }
            5 => {
                let name = *self.dice.pick(&["@alice", "", "two\nlines", "esc\u{1b}[2J", " "]);
                ("gives a name that is none", change_data(&GroupData { name: name.into(), ..data }), false)
            }
            6 => ("lowers the version", change_data(&GroupData { version: 0, ..data }), false),
            7 => {
                let mut changed = data;
                changed.roles.clear();
                ("takes every role away", change_data(&changed), false)
            }
            8 if role < Role::Owner => {
                let mut changed = data;
                changed.roles.insert(self.account, Role::Owner);
                ("makes itself an owner", change_data(&changed), false)
            }
            9 if role < data.may_rename && !data.direct => {
                let name = format!("mallory's {}", self.dice.below(100));
                ("renames what it may not", change_data(&GroupData { name, ..data }), false)
            }
            10 => (
                "puts something in place of the data",
                Change { data: Some(b"none".to_vec()), ..Change::default() },
                false,
            ),
            _ => {
                let adds = vec![Self::fresh(0, world.now).key_package(world.now, false)];
                if role >= data.may_add && !data.direct && !data.personal {
                    return None;
                }
                ("adds somebody made up", Change { adds, ..Change::default() }, false)
            }
        };
        let packed = self.packed(at, note, change)?;
        let hash = wire_hash(&packed.commit);
        if counts {
            self.groups[at].own = Some(hash);
            if self.dice.chance(150) {
                // Given back to a log that never had it.
                let Ok(Envelope::Message(mls)) = codec::decode(&packed.commit) else { return None };
                Self::misplaces(world, Route::Application(id), codec::encode(&Envelope::Again(mls)));
            }
            Self::says(world, Route::Handshake(id), packed.commit);
        } else {
            Self::lies(world, Route::Handshake(id), packed.commit.clone());
            if self.dice.chance(200) {
                Self::lies(world, Route::Application(id), packed.commit);
            }
            self.groups[at].own = None;
            self.groups[at].mls.clear_pending_commit(self.provider.storage()).unwrap();
        }
        Some(what)
    }

    /// A commit that nobody else ever gets, and what a newcomer needs to believe in it: of somebody who is not in the group,
    /// or of somebody who is, as if it had asked to come back.
    fn invites(&mut self, world: &mut World, at: usize) -> Option<&'static str> {
        let whom = *self.dice.pick(&["alice", "bob", "carol"]);
        let account = world.registry.account(whom);
        let adds = self.claimed(world, account);
        let devices: Vec<DeviceId> = adds
            .iter()
            .filter_map(|package| {
                let credential = package.leaf_node().credential().serialized_content();
                let certificate: DeviceCertificate = codec::decode(credential).ok()?;
                Some(certificate.verify().ok()?.device)
            })
            .collect();
        let (provider, mut mls) = twin(&self.provider, &self.groups[at].mls);
        let theirs = |member: &openmls::prelude::Member| {
            let certificate: Option<DeviceCertificate> =
                codec::decode(member.credential.serialized_content()).ok();
            certificate
                .and_then(|certificate| certificate.verify().ok())
                .is_some_and(|body| body.account == account)
        };
        let removes: Vec<LeafNodeIndex> = mls.members().filter(theirs).map(|member| member.index).collect();
        let inside = !removes.is_empty();
        let (id, link) = (self.groups[at].id, self.groups[at].link.clone());
        let note = codec::encode(&CommitNote::after(&link, Vec::new()));
        let change = Change { adds, removes, ..Change::default() };
        let packed = packed(&provider, &mut mls, &self.signer, self.random(), note, change)?;
        if packed.welcome.is_empty() {
            return None;
        }
        mls.merge_pending_commit(&provider).unwrap();
        let place = match self.dice.below(3) {
            0 => link.sequence,
            1 => world.log.end(&Source::Group(id)) + 1,
            _ => world.log.last_of(&Source::Group(id)),
        };
        world.made_up.insert(authenticator(&mls));
        let epoch = mls.epoch().as_u64();
        let tree = mls.export_ratchet_tree().tls_serialize_detached().unwrap();
        let sealed = seal(&packed.key, self.random(), &tree_label(epoch), &id, &tree);
        let mut hashes = Vec::new();
        for (piece, bytes) in (0_u32..).zip(sealed.chunks(limit::TREE_CHUNK_BYTES)) {
            let bytes = codec::encode(&Envelope::Tree(bytes.to_vec()));
            hashes.push(ByteArray::new(wire_hash(&bytes)));
            Self::lies(world, Route::Tree { group: id, epoch, piece }, bytes);
        }
        let note = WelcomeNote {
            commit_sequence: place,
            commit_hash: wire_hash(&packed.commit),
            pieces: u32::try_from(hashes.len()).unwrap(),
            hashes,
            text: String::new(),
        };
        for device in devices {
            let note = seal(&packed.key, self.random(), b"note", &id, &codec::encode(&note));
            let welcome = codec::encode(&Envelope::Welcome { welcome: packed.welcome.clone(), note });
            Self::lies(world, Route::Inbox(device), welcome);
        }
        Some(if inside {
            "invites a member into a copy that nobody has"
        } else {
            "invites into a copy that nobody has"
        })
    }

    /// Asks to come back although it is there, in its own name or another's; says of others who asked that they are out.
    fn asks_and_answers(&mut self, world: &mut World, at: usize) -> Option<&'static str> {
        let (id, epoch) = (self.groups[at].id, self.groups[at].mls.epoch().as_u64());
        let route = Route::Application(id);
        if self.dice.chance(500) {
            let asked =
                world.log.on(&route).into_iter().rev().find_map(|(_, bytes)| match codec::decode(&bytes) {
                    Ok(Envelope::Rejoin(request)) => {
                        let request: RejoinRequest = codec::decode(&request).ok()?;
                        let body: RejoinBody = codec::decode(&request.body.body).ok()?;
                        (body.account != self.account).then_some(body.package)
                    }
                    _ => None,
                });
            let answer = NotMemberBody {
                group: id,
                package: asked.unwrap_or([7; 32]),
                account: self.account,
                device: self.device,
                epoch: epoch + self.dice.roll() % 4,
            };
            let answer = Signed::new(&self.device_key, Purpose::NotMember, codec::encode(&answer));
            Self::lies(world, route, codec::encode(&Envelope::NotMember(answer)));
            return Some("says that who asks to come back is out");
        }
        let (_, other) = self.somebody_else(at)?;
        let other = other.verify().ok()?;
        let package = self.key_package(world.now, false).tls_serialize_detached().unwrap();
        let genuine = self.dice.chance(300);
        let (account, device) =
            if genuine { (self.account, self.device) } else { (other.account, other.device) };
        let body = RejoinBody {
            group: id,
            account,
            device,
            epoch: epoch.saturating_sub(self.dice.roll() % 3),
            commit: *self.dice.pick(&[self.groups[at].link.hash, [0; 32]]),
            package: wire_hash(&package),
            new_keys: self.dice.chance(300),
            at: world.now,
        };
        let body = Signed::new(&self.device_key, Purpose::Rejoin, codec::encode(&body));
        let request = RejoinRequest { body, key_package: ByteBuf::from(package) };
        Self::lies(world, route, codec::encode(&Envelope::Rejoin(codec::encode(&request))));
        Some(if genuine {
            "asks to come back although it is there"
        } else {
            "asks to come back in another's name"
        })
    }
}
