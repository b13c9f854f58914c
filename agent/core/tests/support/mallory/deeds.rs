//! What a hostile member does.

use cipher_broker::certificate::{CertificateBody, DeviceCertificate};
use cipher_broker::codec;
use cipher_broker::id::{AccountId, DeviceId, GroupId, MessageId};
use cipher_broker::limit;
use cipher_broker::sign::{Purpose, Signed, wire_hash};
use cipher_broker::subject::{Route, Source};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::Body;
use cipher_broker::wire::content::kind::{
    CONTACT_ACCEPTED, DELETE, EDIT, GRANTED, HISTORY_GRANT, MISSING, SYNC, TEXT,
};
use cipher_broker::wire::envelope::{CommitNote, CommitPlace, Envelope, WelcomeNote};
use cipher_broker::wire::group::{GroupData, Role};
use cipher_broker::wire::rejoin::{NotMemberBody, RejoinBody, RejoinRequest};
use openmls::prelude::{
    KeyPackage, KeyPackageIn, LeafNodeIndex, LeafNodeParameters, Member, MlsGroup, PreSharedKeyProposal,
    Proposal, ProtocolVersion,
};
use openmls::schedule::{ExternalPsk, PreSharedKeyId, Psk};
use openmls_traits::OpenMlsProvider as _;
use serde_bytes::{ByteArray, ByteBuf};
use tls_codec::{DeserializeBytes as _, Serialize as _};

use super::{
    Change, Mallory, Packed, SUITE, authenticator, data_of, enveloped, packed, seal, tree_label, twin,
};
use crate::support::world::World;

/// How many different things it does.
pub(crate) const DEEDS: usize = 37;

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
            5..=6 => self.commits(world, at),
            7 => match self.dice.below(5) {
                0..=1 => self.rules(world, at),
                2 => self.proposes(world, at),
                3 => self.speaks_early(world, at),
                _ => self.repeats_a_request(world, at),
            },
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
                    MISSING,
                    EDIT,
                    DELETE,
                    HISTORY_GRANT,
                    GRANTED,
                    "hologram",
                ]);
                let mut content = self.content(world, kind, "@alice removed @bob");
                content.body = Body::Unknown {
                    kind: kind.into(),
                    text: "@alice removed @bob".into(),
                    data: Some(ByteBuf::from(self.dice.bytes(60))),
                    of: Some(MessageId::from_bytes(self.random())),
                };
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
                let nonce = [9; 32];
                let body = CommitNote::new_keys(&copy.id, copy.mls.epoch().as_u64(), &nonce);
                let signed = Signed::new(&self.device_key, Purpose::NewKeys, body);
                note.heal = ByteBuf::from([nonce.as_slice(), &signed.signature].concat());
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
                if name == data.name {
                    return None;
                }
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
            9 => {
                let psk = Psk::External(ExternalPsk::new(b"mallory's".to_vec()));
                let id = PreSharedKeyId::new(SUITE, self.provider.rand(), psk).ok()?;
                id.store(&self.provider, &[7; 32]).ok()?;
                let proposals = vec![Proposal::PreSharedKey(Box::new(PreSharedKeyProposal::new(id)))];
                ("commits what nobody can apply", Change { proposals, ..Change::default() }, false)
            }
            10 => (
                "puts something in place of the data",
                Change { data: Some(b"none".to_vec()), ..Change::default() },
                false,
            ),
            _ => {
                let adds = vec![Self::fresh(self.dice.roll(), world.now).key_package(world.now, false)];
                if role >= data.may_add && !data.direct && !data.personal {
                    return None;
                }
                ("adds somebody made up", Change { adds, ..Change::default() }, false)
            }
        };
        let packed = self.packed(at, note, change)?;
        if counts {
            self.commits_for_good(world, at, packed.commit);
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

    /// Puts a commit into the log that everybody takes, unless another one is there first.
    fn commits_for_good(&mut self, world: &mut World, at: usize, commit: Vec<u8>) {
        let id = self.groups[at].id;
        self.groups[at].own = Some(wire_hash(&commit));
        if self.dice.chance(150) {
            // Given back to a log that never had it.
            if let Ok(Envelope::Message(mls)) = codec::decode(&commit) {
                Self::misplaces(world, Route::Application(id), codec::encode(&Envelope::Again(mls)));
            }
        }
        Self::says(world, Route::Handshake(id), commit);
    }

    /// What its role allows, done to others' harm: somebody goes, or comes and is not told, or is told what is not so.
    fn rules(&mut self, world: &mut World, at: usize) -> Option<&'static str> {
        let (role, data) = (self.role(at), data_of(&self.groups[at].mls));
        if data.direct || data.personal || role == Role::Member {
            return None;
        }
        let note = self.note(at);
        if self.dice.chance(400) {
            let (leaf, certificate) = self.somebody_else(at)?;
            let theirs = certificate.verify().ok()?;
            let outranks = role == Role::Owner || role > data.role_of(&theirs.account);
            if !outranks || theirs.account == self.account {
                return None;
            }
            let packed = self.packed(at, note, Change { removes: vec![leaf], ..Change::default() })?;
            self.commits_for_good(world, at, packed.commit);
            return Some("removes whom it may");
        }
        let whom = *self.dice.pick(&["alice", "bob", "carol", "dave", "erin"]);
        let account = world.registry.account(whom);
        let inside = self.groups[at].mls.members().any(|member| account_of(&member) == Some(account));
        if role < data.may_add
            || inside
            || data.roles.contains_key(&account)
            || data.banned.contains(&account)
        {
            return None;
        }
        let adds = self.claimed(world, account);
        let devices: Vec<DeviceId> = adds.iter().filter_map(device_of).collect();
        let packed = self.packed(at, note, Change { adds, ..Change::default() })?;
        if packed.welcome.is_empty() {
            return None;
        }
        let place = world.log.end(&Source::Group(self.groups[at].id)) + 1;
        let hash = wire_hash(&packed.commit);
        let (provider, mut mls) = twin(&self.provider, &self.groups[at].mls);
        mls.merge_pending_commit(&provider).ok()?;
        let what = match self.dice.below(3) {
            0 => "adds somebody and does not tell",
            1 => {
                self.welcomes(world, &mls, &packed, (place, [9; 32]), &devices);
                "adds somebody and names another commit"
            }
            _ => {
                self.welcomes(world, &mls, &packed, (place, hash), &devices);
                "adds somebody"
            }
        };
        self.commits_for_good(world, at, packed.commit);
        Some(what)
    }

    /// Proposals, of which an agent only ever makes one: to leave.
    fn proposes(&mut self, world: &mut World, at: usize) -> Option<&'static str> {
        let route = Route::Handshake(self.groups[at].id);
        let (leaf, certificate) = self.somebody_else(at)?;
        let stolen = self.credential(&certificate);
        let roll = self.dice.below(4);
        let Self { provider, groups, signer, .. } = self;
        let mls = &mut groups[at].mls;
        mls.set_aad(Vec::new());
        let (what, message) = match roll {
            0 => ("proposes that another goes", mls.propose_remove_member(provider, signer, leaf).ok()?.0),
            1 => {
                let leaf = LeafNodeParameters::builder().with_credential_with_key(stolen).build();
                ("proposes another's certificate", mls.propose_self_update(provider, signer, leaf).ok()?.0)
            }
            2 => {
                let adds = Self::fresh(self.dice.roll(), world.now).key_package(world.now, false);
                ("proposes somebody made up", mls.propose_add_member(provider, signer, &adds).ok()?.0)
            }
            _ => ("wants to leave", mls.leave_group(provider, signer).ok()?),
        };
        // Others commit what it wished for itself by reference; all else stays its own.
        if roll < 3 {
            mls.clear_pending_proposals(provider.storage()).unwrap();
        }
        Self::lies(world, route, enveloped(&message));
        Some(what)
    }

    /// Something of the epoch that its own commit begins, which lies behind it.
    fn speaks_early(&mut self, world: &mut World, at: usize) -> Option<&'static str> {
        let id = self.groups[at].id;
        let note = self.note(at);
        let packed = self.packed(at, note, Change::default())?;
        let (provider, mut mls) = twin(&self.provider, &self.groups[at].mls);
        mls.merge_pending_commit(&provider).ok()?;
        mls.set_aad(Vec::new());
        let said = codec::encode(&self.content(world, TEXT, "too early"));
        let early = enveloped(&mls.create_message(&provider, &self.signer, &said).ok()?);
        world.log.heard.push((Route::Application(id), early.clone()));
        world.log.throw(Route::Application(id), early);
        world.early.insert((id, world.log.end(&Source::Group(id))));
        self.commits_for_good(world, at, packed.commit);
        // Its own copy has used that key.
        self.groups[at].kept.clear();
        Some("says something before the commit that begins its epoch")
    }

    /// The first of these bytes that is another's request to come back.
    fn asked<'a>(
        &self,
        mut bytes: impl Iterator<Item = &'a [u8]>,
    ) -> Option<(RejoinRequest, RejoinBody, KeyPackage)> {
        let (request, body) = bytes.find_map(|bytes| match codec::decode(bytes) {
            Ok(Envelope::Rejoin(request)) => {
                let request: RejoinRequest = codec::decode(&request).ok()?;
                let body: RejoinBody = codec::decode(&request.body.body).ok()?;
                (body.account != self.account).then_some((request, body))
            }
            _ => None,
        })?;
        let package = KeyPackageIn::tls_deserialize_exact_bytes(&request.key_package).ok()?;
        let package = package.validate(self.provider.crypto(), ProtocolVersion::Mls10).ok()?;
        Some((request, body, package))
    }

    /// It is in no group, and answers a request to come back with one of its own: under the same id, at a later epoch, and
    /// with its commit in the group's log.
    pub(crate) fn answers_from_outside(&self, world: &mut World, group: GroupId) {
        let asked: Vec<_> = world.log.on(&Route::Application(group)).into_iter().rev().collect();
        let (_, body, package) = self.asked(asked.iter().map(|(_, bytes)| bytes.as_slice())).unwrap();
        let mut mls = self.makes(group);
        for _ in 0..20 {
            let (key, none) = (self.random(), Change::default());
            packed(&self.provider, &mut mls, &self.signer, key, Vec::new(), none).unwrap();
            mls.merge_pending_commit(&self.provider).unwrap();
        }
        let note = codec::encode(&CommitNote::after(&CommitPlace { sequence: 0, hash: [0; 32] }, Vec::new()));
        let change = Change { adds: vec![package], ..Change::default() };
        let packed = packed(&self.provider, &mut mls, &self.signer, self.random(), note, change).unwrap();
        mls.merge_pending_commit(&self.provider).unwrap();
        Self::lies(world, Route::Handshake(group), packed.commit.clone());
        let place = world.log.end(&Source::Group(group));
        world.made_up.insert(authenticator(&mls));
        self.welcomes(world, &mls, &packed, (place, wire_hash(&packed.commit)), &[body.device]);
    }

    /// Shows a request of another to come back once more: whoever it is of is out for a moment.
    fn repeats_a_request(&mut self, world: &mut World, at: usize) -> Option<&'static str> {
        let id = self.groups[at].id;
        let heard = world.log.heard.iter().rev();
        let asked = heard.filter(|(route, _)| *route == Route::Application(id));
        let (request, body, package) = self.asked(asked.map(|(_, bytes)| bytes.as_slice()))?;
        let theirs = |member: &Member| device_in(member.credential.serialized_content()) == Some(body.device);
        let member = self.groups[at].mls.members().find(theirs)?;
        let key = package.leaf_node().encryption_key().tls_serialize_detached().ok()?;
        if key.ends_with(&member.encryption_key) {
            return None;
        }
        let mut note = CommitNote::after(&self.groups[at].link, Vec::new());
        note.rejoins = vec![request.body];
        let change = Change { adds: vec![package], removes: vec![member.index], ..Change::default() };
        let packed = self.packed(at, codec::encode(&note), change)?;
        self.commits_for_good(world, at, packed.commit);
        Some("shows another's request to come back once more")
    }

    /// A commit that nobody else ever gets, and what a newcomer needs to believe in it: of somebody who is not in the group,
    /// or of somebody who is, as if it had asked to come back.
    fn invites(&mut self, world: &mut World, at: usize) -> Option<&'static str> {
        let whom = *self.dice.pick(&["alice", "bob", "carol"]);
        let account = world.registry.account(whom);
        let adds = self.claimed(world, account);
        let devices: Vec<DeviceId> = adds.iter().filter_map(device_of).collect();
        let (provider, mut mls) = twin(&self.provider, &self.groups[at].mls);
        let theirs = |member: &Member| account_of(member) == Some(account);
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
        self.welcomes(world, &mls, &packed, (place, wire_hash(&packed.commit)), &devices);
        Some(if inside {
            "invites a member into a copy that nobody has"
        } else {
            "invites into a copy that nobody has"
        })
    }

    /// Puts the tree and the Welcomes of a commit where newcomers look for them.
    fn welcomes(
        &self,
        world: &mut World,
        mls: &MlsGroup,
        packed: &Packed,
        (commit_sequence, commit_hash): (u64, [u8; 32]),
        devices: &[DeviceId],
    ) {
        let id = GroupId::from_slice(mls.group_id().as_slice()).unwrap();
        let epoch = mls.epoch().as_u64();
        let tree = mls.export_ratchet_tree().tls_serialize_detached().unwrap();
        let sealed = seal(&packed.key, self.random(), &tree_label(epoch), &id, &tree);
        let mut hashes = Vec::new();
        for (piece, bytes) in (0_u32..).zip(sealed.chunks(limit::TREE_CHUNK_BYTES)) {
            let bytes = codec::encode(&Envelope::Tree(bytes.to_vec()));
            hashes.push(ByteArray::new(wire_hash(&bytes)));
            Self::lies(world, Route::Tree { group: id, epoch, piece }, bytes);
        }
        let pieces = u32::try_from(hashes.len()).unwrap();
        let note = WelcomeNote {
            commit_sequence,
            commit_hash,
            pieces,
            hashes,
            text: String::new(),
            commit_at: Timestamp::default(),
            doubt: false,
        };
        for device in devices {
            let note = seal(&packed.key, self.random(), b"note", &id, &codec::encode(&note));
            let welcome = codec::encode(&Envelope::Welcome { welcome: packed.welcome.clone(), note });
            Self::lies(world, Route::Inbox(*device), welcome);
        }
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
            copy: 0,
            knew: 0,
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

fn certified(credential: &[u8]) -> Option<CertificateBody> {
    codec::decode::<DeviceCertificate>(credential).ok()?.verify().ok()
}

fn account_of(member: &Member) -> Option<AccountId> {
    certified(member.credential.serialized_content()).map(|body| body.account)
}

fn device_in(credential: &[u8]) -> Option<DeviceId> {
    certified(credential).map(|body| body.device)
}

fn device_of(package: &KeyPackage) -> Option<DeviceId> {
    device_in(package.leaf_node().credential().serialized_content())
}
