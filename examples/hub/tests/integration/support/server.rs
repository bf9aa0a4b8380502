//! The program as a child process, and requests to it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// The time after which a test gives up, long enough for slow machines.
const PATIENCE: Duration = Duration::from_secs(300);

/// A running hub.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    log: Mutex<Log>,
}

/// What the hub wrote.
struct Log {
    seen: String,
    more: Receiver<String>,
}

/// A response of the hub.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) kind: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// The JSON of a response, which must have this status.
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        if self.body.is_empty() {
            Value::Null
        } else {
            self.json()
        }
    }

    /// Checks that it is an error with this code and a message.
    pub(crate) fn refused(&self, status: u16, code: &str) {
        let body = self.json();
        let found = (self.status, body["error"]["code"].as_str().unwrap());
        assert_eq!(found, (status, code), "{body}");
        assert!(body["error"]["message"].as_str().unwrap().len() > 5);
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }
}

/// A program that ended instead of listening.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) log: String,
}

impl Server {
    /// Starts the hub with its database in a folder.
    pub(crate) fn start(folder: &TempDir, settings: &[(&str, &str)]) -> Self {
        let started = Self::try_start(folder.path(), settings);
        started.unwrap_or_else(|ended| panic!("the hub ended: {} {}", ended.status, ended.log))
    }

    /// The same with a folder of models, which has been searched when this returns.
    pub(crate) fn with_models(folder: &TempDir, settings: &[(&str, &str)]) -> Self {
        let models = folder.path().join("models");
        std::fs::create_dir_all(&models).unwrap();
        let mut all = vec![("HUB_MODELS", models.to_str().unwrap())];
        all.extend(settings);
        let server = Self::start(folder, &all);
        let start = Instant::now();
        while !server.log().contains("searched the folder of models") {
            assert!(start.elapsed() < PATIENCE, "{}", server.log());
            thread::sleep(Duration::from_millis(2));
        }
        server
    }

    pub(crate) fn try_start(folder: &Path, settings: &[(&str, &str)]) -> Result<Self, Ended> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mother-hub"));
        command
            .env_clear()
            .env("HUB_ADDRESS", "127.0.0.1:0")
            .env("HUB_DATABASE", folder.join("hub.sqlite"))
            .env("TMPDIR", folder)
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, log) = mpsc::channel();
        let errors = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut seen = String::new();
        while let Ok(line) = log.recv() {
            if let Some((_, address)) = line.split_once("listening on http://") {
                let address = address.split_whitespace().next().unwrap().to_owned();
                return Ok(Self {
                    child,
                    address,
                    log: Mutex::new(Log { seen, more: log }),
                });
            }
            seen += &line;
            seen.push('\n');
        }
        Err(Ended {
            status: child.wait().unwrap(),
            log: seen,
        })
    }

    /// Sends SIGKILL, and waits for the end.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The id of its process.
    pub(crate) fn number(&self) -> u32 {
        self.child.id()
    }

    /// Asks the hub to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> ExitStatus {
        let number = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &number]).status();
        assert!(sent.unwrap().success());
        self.child.wait().unwrap()
    }

    /// Everything logged so far.
    fn log(&self) -> String {
        let mut log = self.log.lock().unwrap();
        let more: Vec<String> = log.more.try_iter().collect();
        for line in more {
            log.seen += &line;
            log.seen.push('\n');
        }
        log.seen.clone()
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .allow_non_standard_methods(true);
        let agent: ureq::Agent = config.build().into();
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = match body {
            [] => agent.run(request.body(()).unwrap()),
            body => agent.run(request.body(body).unwrap()),
        };
        let mut answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let headers: Vec<(String, String)> = (answer.headers().iter())
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()))
            .collect();
        let kind = headers.iter().find(|(name, _)| name == "content-type");
        Answer {
            status: answer.status().as_u16(),
            kind: kind.map(|(_, kind)| kind.clone()).unwrap_or_default(),
            headers,
            body: answer
                .body_mut()
                .with_config()
                .limit(1 << 30)
                .read_to_vec()
                .unwrap(),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], &[])
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], &[])
    }

    pub(crate) fn put(&self, path: &str, body: &[u8]) -> Answer {
        self.send("PUT", path, &[], body)
    }

    /// Asks for a model of the folder to be added.
    pub(crate) fn add(&self, id: &str, path: &str) -> Answer {
        self.post(&serde_json::json!({"id": id, "path": path}).to_string())
    }

    pub(crate) fn post(&self, body: &str) -> Answer {
        let headers = [("content-type", "application/json")];
        self.send("POST", "/models", &headers, body.as_bytes())
    }

    /// Waits until a job is as wanted, and returns it.
    pub(crate) fn wait_for_job(&self, job: i64, wanted: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let view = self.get(&format!("/jobs/{job}")).expect(200);
            if wanted(&view) {
                return view;
            }
            assert!(start.elapsed() < PATIENCE, "{view}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// All jobs, once they have ended.
    pub(crate) fn all_jobs(&self) -> Vec<Value> {
        let jobs = self.get("/jobs?limit=1000").expect(200);
        let numbers = jobs["jobs"].as_array().unwrap().iter();
        let numbers = numbers.map(|job| job["job"].as_i64().unwrap());
        let ended = |view: &Value| !matches!(view["state"].as_str(), Some("queued" | "running"));
        numbers.map(|job| self.wait_for_job(job, ended)).collect()
    }

    /// Waits for the end of a job, which must have this state.
    pub(crate) fn wait_for_end(&self, job: i64, state: &str) -> Value {
        let ended = |view: &Value| !matches!(view["state"].as_str(), Some("queued" | "running"));
        let view = self.wait_for_job(job, ended);
        assert_eq!(view["state"], state, "{view}");
        view
    }

    /// Sends a request as bytes, and returns everything received until the hub closes the connection.
    pub(crate) fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
