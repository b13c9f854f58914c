//! `export`: a conversation as a file that other programs read.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use cipher_api::view::{AttachmentView, MessageView};
use cipher_api::{Error, Target};
use cipher_seal::new_file::NewFile;
use rand_core::OsRng;

use crate::app::export::Pages;
use crate::app::new_file;
use crate::app::profile::OpenProfile;
use crate::cli::context::Context;
use crate::cli::exit::{Failure, Result};
use crate::cli::input::interrupt::Interrupt;
use crate::cli::input::target;
use crate::cli::show::export::{Head, Kind, LARGEST_PICTURE, Page, Picture, is_picture};
use crate::cli::show::hint;
use crate::cli::show::line::Line;
use crate::cli::show::ui::Ui;
use crate::runtime::timer;

/// Write everything of a conversation that is here as plain text, oldest message first
///
/// jsonl has the lines of `read --json`; html is one page that needs no other file and loads nothing, with the pictures that can be
/// had (png, jpeg, gif and webp of up to 8 MiB), or their previews; md is Markdown. Messages that were deleted or have disappeared have no words in
/// it. Nothing counts as read.
///
/// What is written is protected by nothing any more: who has the file reads it, and messages that are to disappear stay in it. The
/// file gets its name once it is whole, and nothing is overwritten.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat export ops --format html --to ops.html\n  cipher-chat export @bob --format md > bob.md\n  cipher-chat export ops --format jsonl | jq -r 'select(.type==\"message\").text'"
)]
pub struct Args {
    /// @handle, group name or group id
    #[arg(value_parser = target::target)]
    pub target: Target,
    /// What is written: jsonl for programs, html or md for people
    #[arg(long, value_enum)]
    pub format: Format,
    /// The file, which is not there yet [default: standard output, as `-`]
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[expect(missing_docs, reason = "the names say it, and help lists them")]
pub enum Format {
    Jsonl,
    Html,
    Md,
}

/// Runs `export`.
pub async fn run(context: &Context, args: Args) -> Result {
    let Args { target, format, to } = args;
    OpenProfile::known(context)?;
    let to = to.filter(|to| to.as_os_str() != "-");
    // Before anything is asked for.
    if let Some(to) = &to {
        new_file::names_a_file(to)?;
        new_file::is_free(to)?;
    }
    let mut stop = Interrupt::listen();
    let exported = tokio::select! {
        exported = export(context, target, format, to.as_deref()) => exported,
        () = stop.wait() => Err(Failure::Shown(1)),
    };
    context.ui.progress_end();
    let told = exported?;
    if let Some(to) = &to {
        let target = to.display().to_string();
        context.ui.happened(context.ui.show(&Line::Done { action: "exported", target: Some(&target) }));
    }
    context.ui.warn(&told.words());
    Ok(())
}

async fn export(context: &Context, target: Target, format: Format, to: Option<&Path>) -> Result<Told> {
    let ui = &context.ui;
    let (mut pages, group, handle) = Pages::begin(context, target).await?;
    let mut out = Out::begin(ui, to)?;
    let head = Head { name: &group.name, by: handle.as_str(), at: timer::now() };
    let mut page = match format {
        Format::Jsonl => None,
        Format::Html => Some(Page::new(Kind::Html, ui.zone())),
        Format::Md => Some(Page::new(Kind::Markdown, ui.zone())),
    };
    let mut told = Told::default();
    if let Some(page) = &page {
        out.write(page.head(&head).as_bytes())?;
    }
    let written = async {
        while let Some(lines) = pages.next().await? {
            for line in &lines {
                told.take(line);
                let bytes = match &mut page {
                    None => Line::message(line, |error| hint::of(error, ui.typed())).to_json()?,
                    Some(page) => {
                        let pictures = match format {
                            Format::Html => pictures(ui, &mut pages, line, &mut told).await,
                            Format::Md | Format::Jsonl => Vec::new(),
                        };
                        page.line(line, &pictures).into_bytes()
                    }
                };
                out.write(&bytes)?;
            }
        }
        Ok(())
    };
    let written: Result = written.await;
    pages.close().await;
    written?;
    if let Some(page) = &page {
        out.write(page.end().as_bytes())?;
    }
    out.finish()?;
    Ok(told)
}

/// The pictures of a message that can be had.
async fn pictures(ui: &Ui, pages: &mut Pages<'_>, line: &MessageView, told: &mut Told) -> Vec<Picture> {
    let mut pictures = Vec::new();
    for file in &line.attachments {
        // What its sender calls no picture is none; whether it is one, its content says.
        if !file.mime.starts_with("image/") {
            continue;
        }
        if file.size > LARGEST_PICTURE {
            told.is_not_whole(file);
            continue;
        }
        let what = format!("fetching {}", file.name);
        let content = pages.file(file, line.group, |done, total| ui.transfer(&what, done, total)).await;
        ui.progress_end();
        match content.ok().and_then(|bytes| Some((is_picture(&bytes)?, bytes))) {
            Some((mime, bytes)) => pictures.push(Picture { id: file.id, mime, bytes }),
            None => told.is_not_whole(file),
        }
    }
    pictures
}

/// What a person is told of what was written.
#[derive(Debug, Default)]
struct Told {
    lines: u64,
    /// Messages that are to disappear, and stay there.
    disappear: u64,
    /// Pictures that are only named.
    left_out: u64,
    /// Pictures of which there is a preview only.
    previews: u64,
}

impl Told {
    fn take(&mut self, line: &MessageView) {
        self.lines += 1;
        self.disappear += u64::from(line.expire.is_some());
    }

    fn is_not_whole(&mut self, file: &AttachmentView) {
        let is_shown = file.preview.as_ref().is_some_and(|preview| is_picture(&preview.bytes).is_some());
        *(if is_shown { &mut self.previews } else { &mut self.left_out }) += 1;
    }

    fn words(&self) -> String {
        let of = |count: u64, one: &str, several: &str| match count {
            1 => format!("1 {one}"),
            count => format!("{count} {several}"),
        };
        let mut words = format!(
            "{} written as plain text: nothing protects it any more",
            of(self.lines, "line is", "lines are")
        );
        if self.disappear > 0 {
            let disappear = of(
                self.disappear,
                "message that is to disappear stays",
                "messages that are to disappear stay",
            );
            words.push_str(&format!("; {disappear} in it"));
        }
        if self.left_out > 0 {
            words.push_str(&format!("; {} named only", of(self.left_out, "picture is", "pictures are")));
        }
        if self.previews > 0 {
            words.push_str(&format!(
                "; {} there as a preview only",
                of(self.previews, "picture is", "pictures are")
            ));
        }
        words
    }
}

/// Where it is written.
enum Out<'a> {
    Stdout(&'a Ui),
    /// In no folder yet.
    File {
        path: &'a Path,
        new: NewFile,
        to: BufWriter<File>,
    },
}

impl<'a> Out<'a> {
    fn begin(ui: &'a Ui, path: Option<&'a Path>) -> Result<Self, Error> {
        let Some(path) = path else { return Ok(Self::Stdout(ui)) };
        let failed = |error| new_file::unwritable(path, error);
        let new = NewFile::unseen(path, &mut OsRng).map_err(failed)?;
        let to = BufWriter::new(new.file().try_clone().map_err(failed)?);
        Ok(Self::File { path, new, to })
    }

    fn write(&mut self, bytes: &[u8]) -> Result {
        match self {
            Self::Stdout(ui) => ui.data(bytes),
            Self::File { path, to, .. } => {
                to.write_all(bytes).map_err(|error| new_file::unwritable(path, error).into())
            }
        }
    }

    /// All of it is on the disk before it has its name.
    fn finish(self) -> Result {
        let Self::File { path, new, mut to } = self else { return Ok(()) };
        let synced = to.flush().and_then(|()| new.file().sync_all());
        synced.map_err(|error| new_file::unwritable(path, error))?;
        new.name(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => new_file::taken(path),
            _ => new_file::unwritable(path, error),
        })?;
        Ok(())
    }
}
