//! The room and what comes out of it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A folder that the binary takes for the whole world.
#[derive(Debug)]
pub(crate) struct Room {
    dir: TempDir,
    environment: Vec<(String, String)>,
}

/// What a run gave.
#[derive(Debug)]
#[must_use]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Room {
    pub(crate) fn new() -> Self {
        Self { dir: TempDir::new().unwrap(), environment: Vec::new() }
    }

    /// The same room with a variable set.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Where profiles are unless something says otherwise.
    pub(crate) fn home(&self) -> std::path::PathBuf {
        self.path().join(".local/share/cipher-chat")
    }

    /// Writes a file below the room.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cipher-chat"));
        command.args(args).env_clear().env("HOME", self.path()).current_dir(self.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command line that gets nothing on its standard input.
    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        self.run_with(args, b"")
    }

    /// Runs a line of a shell in which the command stands as `{}`.
    pub(crate) fn in_shell(&self, line: &str) -> Outcome {
        let command = self.command(&[]);
        let mut shell = Command::new("bash");
        shell.args(["-c", &line.replace("{}", r#""$0""#)]).arg(command.get_program());
        shell.env_clear().current_dir(self.path());
        shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.env("PATH", std::env::var_os("PATH").unwrap());
        self.outcome(shell, &[], b"")
    }

    /// Runs a command line with this standard input.
    pub(crate) fn run_with(&self, args: &[&str], input: &[u8]) -> Outcome {
        self.outcome(self.command(args), args, input)
    }

    fn outcome(&self, mut command: Command, args: &[&str], input: &[u8]) -> Outcome {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        // It may well end without reading all of it.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| {
            String::from_utf8(bytes).unwrap().replace(self.path().to_str().unwrap(), "[ROOM]")
        };
        let outcome =
            Outcome { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
        // Scripts of shells, what shells ask by them, and manual pages are as others want them.
        let others = matches!(args.first(), Some(&("completions" | "man" | "--")));
        let program = others && outcome.code == Some(0);
        for shown in [&outcome.stdout, &outcome.stderr].into_iter().skip(usize::from(program)) {
            if let Err(why) = is_plain(shown) {
                panic!("{args:?} prints {why}: {shown:?}");
            }
        }
        outcome
    }
}

/// D14: what every output of every command is, to the byte. Snapshots do not see it: insta takes texts as equal whose
/// ends, line ends or blank edges differ.
pub(crate) fn is_plain(output: &str) -> Result<(), &'static str> {
    // The colours that were asked for: a number, and nothing that moves.
    let mut plain = String::new();
    let mut rest = output;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        plain.push_str(before);
        let Some((code, after)) = after.split_once('m') else { return Err("half a colour") };
        if code.is_empty() || code.len() > 2 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("an escape sequence that is no colour");
        }
        rest = after;
    }
    plain.push_str(rest);
    match plain.as_str() {
        "" => Ok(()),
        text if !text.ends_with('\n') => Err("no newline at the end"),
        text if text.ends_with("\n\n") => Err("an empty line at the end"),
        text if text.starts_with('\n') => Err("an empty line at the beginning"),
        text if text.chars().any(|c| c != '\n' && c.is_control()) => Err("a control character"),
        text if text.lines().any(|line| line.ends_with(char::is_whitespace)) => {
            Err("a blank at the end of a line")
        }
        _ => Ok(()),
    }
}

impl Outcome {
    /// Asserts the exit code and that nothing was printed as data.
    pub(crate) fn fails(self, code: i32) -> Self {
        assert_eq!((self.code, self.stdout.as_str()), (Some(code), ""), "stderr: {}", self.stderr);
        self
    }

    /// Asserts success.
    pub(crate) fn succeeds(self) -> Self {
        assert_eq!(self.code, Some(0), "stderr: {}", self.stderr);
        self
    }

    /// The lines of stderr as JSON.
    pub(crate) fn errors(&self) -> Vec<serde_json::Value> {
        self.stderr
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
            .collect()
    }

    /// The lines of stdout as JSON.
    pub(crate) fn lines(&self) -> Vec<serde_json::Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
