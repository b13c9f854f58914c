//! Finds the programs that `up` starts.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use cipher_api::{Error, ErrorKind, Hint};
use cipher_broker::server_file::FINDER;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;

/// Older servers have known ways around permissions.
const OLDEST: (u32, u32) = (2, 15);

/// A nats-server that is new enough: on PATH, in the tools folder, or fetched into it.
pub(super) async fn nats_server(tools: &Path, progress: &dyn Fn(&str)) -> Result<PathBuf, Error> {
    let on_path = PathBuf::from("nats-server");
    if is_usable(&on_path).await {
        return Ok(on_path);
    }
    for folder in std::fs::read_dir(tools).into_iter().flatten().flatten() {
        let found = folder.path().join("nats-server");
        if folder.file_name().to_string_lossy().starts_with("nats-server-") && is_usable(&found).await {
            return Ok(found);
        }
    }
    fetch(tools, progress).await
}

/// Runs the program that fetches one; it checks what it fetches against pinned hashes.
async fn fetch(tools: &Path, progress: &dyn Fn(&str)) -> Result<PathBuf, Error> {
    let missing = |why: String| {
        ErrorKind::Misuse
            .because(format!("there is no nats-server {}.{} or newer here: {why}", OLDEST.0, OLDEST.1))
            .hint(Hint::text(
                "install it from https://github.com/nats-io/nats-server/releases and put it on PATH",
            ))
    };
    progress("no nats-server here yet; fetching one");
    let wrote = std::fs::create_dir_all(tools)
        .and_then(|()| FINDER.iter().try_for_each(|(name, text)| std::fs::write(tools.join(name), text)));
    wrote.map_err(|error| {
        missing(format!("{} cannot be written: {error}", tools.display())).caused_by(error)
    })?;
    let mut child = Command::new("python3")
        .arg(tools.join(FINDER[0].0))
        .arg("--dir")
        .arg(tools)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| missing(format!("fetching one needs python3 ({error})")).caused_by(error))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let told = async {
        let mut last = String::new();
        let Some(stderr) = stderr else { return last };
        let mut lines = BufReader::new(stderr).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            progress(&line);
            last = line;
        }
        last
    };
    let printed = async {
        let mut text = String::new();
        match stdout {
            Some(mut stdout) => stdout.read_to_string(&mut text).await.map(|_| text),
            None => Ok(text),
        }
    };
    let (last, printed, status) = tokio::join!(told, printed, child.wait());
    let path = PathBuf::from(printed.unwrap_or_default().trim());
    if status.is_ok_and(|status| status.success()) && is_usable(&path).await {
        return Ok(path);
    }
    Err(missing(last.trim_start_matches("error: ").to_owned()))
}

async fn is_usable(path: &Path) -> bool {
    let Ok(run) = Command::new(path).arg("--version").stdin(Stdio::null()).kill_on_drop(true).output().await
    else {
        return false;
    };
    version(&String::from_utf8_lossy(&run.stdout)).is_some_and(|version| version >= OLDEST)
}

/// Major and minor of `nats-server: v2.15.1`.
fn version(text: &str) -> Option<(u32, u32)> {
    let (_, version) = text.split_once(": v")?;
    let mut numbers = version.split('.').map(|number| number.trim().parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// The registry's program: beside our own, else on PATH.
pub(super) fn registry() -> PathBuf {
    const NAME: &str = "cipher-registry";
    let beside = std::env::current_exe().ok().and_then(|own| {
        let folder = own.parent()?;
        // Tests run from a folder below the one that programs are built into.
        [folder.join(NAME), folder.parent()?.join(NAME)].into_iter().find(|path| path.is_file())
    });
    beside.unwrap_or_else(|| NAME.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version("nats-server: v2.15.1\n"), Some((2, 15)));
        assert!(version("nats-server: v2.9.0").unwrap() < OLDEST);
        assert_eq!(version("something else"), None);
    }
}
