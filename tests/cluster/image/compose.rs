//! `examples/compose` as its reader uses it: Docker Compose itself reads the file with the variables that somebody has, and the real
//! gateway reads what the container would be given.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use wicketgate_tests::{cache, gateway, programs::need};

const EXAMPLE: &str = "../examples/compose";

/// Pins Docker Compose with all that it's made of.
const MODULE: &str = "cluster/tools/compose";

/// What the commercial gateway's documents of each generation have people fill in.
const OLD: &str = "CLEARML_API_HOST=http://api:8008\nCLEARML_API_ACCESS_KEY=a\nCLEARML_API_SECRET_KEY=s\nROUTER_NAME=old\n\
    ROUTER_URL=https://gate.example.org\nLISTEN_QUEUE_NAME=gpu, cpu\nLOGGER_LEVEL=WARNING\nAUTH_ENABLED=true\nSSL_VERIFY=false\n\
    AUTH_COOKIE_NAME=their_cookie\nAUTH_SECURE_ENABLED=false\nTCP_ROUTER_ADDRESS=ssh.example.org\nTCP_PORT_START=31000\nTCP_PORT_END=31002\n";
const NEW: &str = "CLEARML_API_HOST=http://api:8008\nCLEARML_API_ACCESS_KEY=a\nCLEARML_API_SECRET_KEY=s\nROUTER_NAME=new\n\
    ROUTER_URL=https://gate.example.org\nLISTEN_QUEUE_NAME=gpu cpu\nROUTER__WEBSERVER__SERVER_PORT=8443\n\
    ROUTER__HTTP__AUTHORIZATION__COOKIE__SECURE=true\nROUTER__STREAM__EXTERNAL_URL=tcp://ssh.example.org\n\
    ROUTER__STREAM__PORT_RANGE__START=31000\nROUTER__STREAM__PORT_RANGE__END=31002\n";

/// A copy of the example with somebody's variables.
struct Example {
    directory: TempDir,
}

// === impl Example ===

impl Example {
    /// `variables` is the file `.env`.
    fn with(variables: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("compose.yaml"), example("compose.yaml")).unwrap();
        fs::write(directory.path().join(".env"), variables).unwrap();
        fs::write(directory.path().join("login.secret"), "a-login-secret-of-at-least-32-characters\n").unwrap();
        Self { directory }
    }

    /// What Docker Compose makes of it, or says against it.
    fn read(&self) -> Result<Value, String> {
        let run = Command::new(docker_compose())
            .args(["config", "--format", "json"])
            .current_dir(self.directory.path())
            // A variable of the shell would win over the file.
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.directory.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        if !run.status.success() {
            return Err(String::from_utf8_lossy(&run.stderr).into_owned());
        }
        Ok(serde_json::from_slice(&run.stdout).unwrap())
    }

    /// What the gateway in the container would have in force: `config check` with exactly the container's variables.
    fn in_force(&self) -> String {
        let project = self.read().unwrap();
        let mut command = Command::new(gateway::binary());
        command.args(["config", "check"]).env_clear().stdin(Stdio::null());
        for (name, value) in environment(&project) {
            // Secrets are elsewhere here than in a container.
            let value = value.replace("/run/secrets", self.directory.path().to_str().unwrap());
            command.env(name, value);
        }
        let run = command.output().unwrap();
        let (said, complaint) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
        assert!(run.status.success(), "{}\n{complaint}", run.status);
        assert!(!complaint.contains("unknown"), "{complaint}");
        said.into_owned()
    }
}

/// The variables that the container has; those that nobody set aren't among them.
fn environment(project: &Value) -> Vec<(&str, &str)> {
    let all = project["services"]["wicketgate"]["environment"].as_object().unwrap();
    all.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect()
}

/// Each published port with the one behind it.
fn ports(project: &Value) -> Vec<(u64, u64)> {
    let all = project["services"]["wicketgate"]["ports"].as_array().unwrap();
    all.iter().map(|port| (port["published"].as_str().unwrap().parse().unwrap(), port["target"].as_u64().unwrap())).collect()
}

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(EXAMPLE).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The program, built from its source by Go where it isn't cached.
fn docker_compose() -> PathBuf {
    static MAKING: Mutex<()> = Mutex::new(());
    let _one = MAKING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(MODULE);
    let module = fs::read_to_string(folder.join("go.mod")).unwrap();
    let version = module.lines().find_map(|line| line.trim().strip_prefix("github.com/docker/compose/v2 v")?.split(' ').next());
    let directory = cache::directory().join("bin");
    let tool = directory.join(format!("docker-compose-{}", version.unwrap()));
    if !tool.exists() {
        fs::create_dir_all(&directory).unwrap();
        let beside = tool.with_extension(std::process::id().to_string());
        let run = Command::new(need("go", "golang-go"))
            .args(["build", "-trimpath", "-ldflags=-s -w", "-o"])
            .arg(&beside)
            .arg("github.com/docker/compose/v2/cmd")
            // Without it the program needs nothing of this machine, and no C compiler.
            .env("CGO_ENABLED", "0")
            .current_dir(&folder)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "Docker Compose can't be built (it needs Go 1.21 or newer): {}\n{said}", run.status);
        // Whole at once, for others that look for it.
        fs::rename(beside, &tool).unwrap();
    }
    tool
}

#[test]
fn the_example_is_a_configuration_as_it_stands() {
    let example = Example::with(&example(".env.example"));
    let in_force = example.in_force();
    for part in
        ["name: gate\n", "public_url: http://gate.example.org:8080", "address: gate.example.org", "start: 30000", "end: 30019"]
    {
        assert!(in_force.contains(part), "{part} isn't in\n{in_force}");
    }
    let http = std::iter::once((8080, 8080));
    assert_eq!(ports(&example.read().unwrap()), http.chain((30000..=30019).map(|port| (port, port))).collect::<Vec<_>>());
}

#[test]
fn the_variables_of_both_generations_are_passed_on() {
    let both = ["- gpu", "- cpu", "start: 31000", "end: 31002", "address: ssh.example.org", "public_url: https://gate.example.org"];
    let old = ["name: old", "level: warn", "ssl_verify: false", "secure: false", "- their_cookie", "listen: 0.0.0.0:8080"];
    let new = ["name: new", "level: info", "ssl_verify: true", "secure: true", "listen: 0.0.0.0:8443"];
    for (variables, own, http) in [(OLD, &old[..], 8080), (NEW, &new[..], 8443)] {
        let example = Example::with(variables);
        let in_force = example.in_force();
        for part in both.iter().chain(own) {
            assert!(in_force.contains(part), "{part} isn't in\n{in_force}");
        }
        let published = ports(&example.read().unwrap());
        assert_eq!(published, [http, 31000, 31001, 31002].map(|port| (port, port)));
    }
}

#[test]
fn every_variable_of_the_commercial_gateway_is_passed_on() {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/README.md")).unwrap();
    let (_, table) = document.split_once("## Variables of the commercial gateway").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let names: Vec<&str> = rows.chain(["AUTH_ENABLED"]).collect();
    assert!(names.len() > 20, "{names:?}");
    let project = Example::with(OLD).read().unwrap();
    let passed = &project["services"]["wicketgate"]["environment"];
    let missing: Vec<_> = names.iter().filter(|name| passed.get(**name).is_none()).collect();
    assert!(missing.is_empty(), "compose.yaml doesn't pass on {missing:?}");
}

#[test]
fn credentials_that_are_missing_are_named() {
    for name in ["CLEARML_API_HOST", "CLEARML_API_ACCESS_KEY", "CLEARML_API_SECRET_KEY"] {
        let without: Vec<&str> = OLD.lines().filter(|line| !line.starts_with(name)).collect();
        let error = Example::with(&without.join("\n")).read().unwrap_err();
        assert!(error.contains(&format!("required variable {name} is missing")), "{error}");
    }
}

#[test]
fn the_container_has_no_rights_that_it_does_not_need() {
    let project = Example::with(OLD).read().unwrap();
    let gateway = &project["services"]["wicketgate"];
    assert_eq!(gateway["user"], "65532:65532");
    assert_eq!(gateway["read_only"], true);
    assert_eq!(gateway["cap_drop"], json!(["ALL"]));
    assert_eq!(gateway["security_opt"], json!(["no-new-privileges:true"]));
    // The image has no shell that could run anything else; `container` runs it with this.
    assert_eq!(gateway["healthcheck"]["test"], json!(["CMD", "/usr/bin/wicketgate", "probe", "http://127.0.0.1:9090/readyz"]));
}

#[test]
fn further_files_of_the_readme_are_read_with_it() {
    let document = example("README.md");
    let blocks: Vec<&str> = document.split("\n```yaml\n").skip(1).filter_map(|rest| rest.split("\n```").next()).collect();
    assert_eq!(blocks.len(), 1, "{blocks:?}");
    let example = Example::with(OLD);
    fs::write(example.directory.path().join("compose.override.yaml"), blocks[0]).unwrap();
    let project = example.read().unwrap();
    let gateway = &project["services"]["wicketgate"];
    assert_eq!(gateway["environment"]["WICKETGATE_PLUGINS__DIRECTORY"], gateway["volumes"][0]["target"], "{gateway}");
    assert_eq!(gateway["environment"]["ROUTER_NAME"], "old", "what the first file says stays");
    assert!(example.in_force().contains("directory: /etc/wicketgate/plugins"));
}
