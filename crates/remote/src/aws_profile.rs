//! Keys of Amazon's own tools: the files `~/.aws/credentials` and `~/.aws/config`.
//!
//! Keys of a profile are read, its region and its endpoint. Profiles that get keys from elsewhere
//! (single sign-on, another role, a program) are not: `aws configure export-credentials` turns them
//! into variables.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;

use object_store::aws::AmazonS3Builder;

use crate::fault::Fault;

/// Variables that say where keys come from, or that none are needed.
const KEYS: [&str; 6] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SKIP_SIGNATURE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
];
const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];
const ENDPOINTS: [&str; 3] = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"];

/// Settings by which a profile gets its keys from elsewhere.
const ELSEWHERE: [&str; 5] =
    ["sso_session", "sso_start_url", "credential_process", "role_arn", "login_session"];

/// What a profile says.
type Profile = BTreeMap<String, String>;

/// Completes what the environment says by the files.
///
/// # Errors
/// If a profile is asked for that is not there, or that has no keys.
pub(crate) fn complete(builder: AmazonS3Builder) -> Result<AmazonS3Builder, Fault> {
    let is_set = |names: &[&str]| names.iter().any(|name| set(name).is_some());
    let asked = set("AWS_PROFILE");
    let name = asked.as_deref().unwrap_or("default");
    let read = |variable, file: &str| {
        let home = || set("HOME").or_else(|| set("USERPROFILE")).map(PathBuf::from);
        let path = set(variable).map(PathBuf::from);
        let path = path.or_else(|| Some(home()?.join(".aws").join(file)))?;
        granule_reader::file::read_to_string(&path).ok()
    };
    let credentials = read("AWS_SHARED_CREDENTIALS_FILE", "credentials");
    let config = read("AWS_CONFIG_FILE", "config");
    let [credentials, config] = [credentials, config].map(Option::unwrap_or_default);
    let (found, is_there) = profile(&credentials, &config, name);
    let mut builder = builder;
    if !is_set(&KEYS) {
        match keys(&found) {
            Some([id, secret]) => {
                builder = builder.with_access_key_id(id).with_secret_access_key(secret);
                if let Some(token) = found.get("aws_session_token") {
                    builder = builder.with_token(token);
                }
            }
            None if asked.is_some() => return Err(refused(&found, name, is_there)),
            None => {}
        }
    }
    if let Some(region) = found.get("region").filter(|_| !is_set(&REGIONS)) {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = found.get("endpoint_url").filter(|_| !is_set(&ENDPOINTS)) {
        builder = builder.with_endpoint(endpoint);
    }
    Ok(builder)
}

fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}

fn keys(profile: &Profile) -> Option<[&String; 2]> {
    Some([profile.get("aws_access_key_id")?, profile.get("aws_secret_access_key")?])
}

/// Why there are no keys.
fn refused(profile: &Profile, name: &str, is_there: bool) -> Fault {
    let from = ELSEWHERE.iter().find(|setting| profile.contains_key(**setting));
    Fault::Settings(match (from, is_there) {
        (Some(setting), _) => format!(
            "the profile {name:?} gets its keys from elsewhere ({setting}); set them by: \
             eval \"$(aws configure export-credentials --profile {name} --format env)\""
        ),
        (None, true) => format!("the profile {name:?} in ~/.aws has no keys"),
        (None, false) => {
            format!("there is no profile {name:?} in ~/.aws; AWS_PROFILE names it")
        }
    })
}

/// What both files say about a profile, and whether it is in one.
fn profile(credentials: &str, config: &str, name: &str) -> (Profile, bool) {
    let mut found = Profile::new();
    let of_config = match name {
        "default" => vec!["default".to_owned(), "profile default".to_owned()],
        name => vec![format!("profile {name}")],
    };
    let mut is_there = false;
    for (text, sections) in [(config, &of_config[..]), (credentials, &[name.to_owned()][..])] {
        let mut is_own = false;
        for line in text.lines() {
            let is_nested = line.starts_with([' ', '\t']);
            let line = line.trim();
            if let Some(section) = line.strip_prefix('[').and_then(|it| it.split_once(']')) {
                let words: Vec<&str> = section.0.split_whitespace().collect();
                is_own = sections.contains(&words.join(" ").replace('"', ""));
                is_there |= is_own;
                continue;
            }
            let is_setting = is_own && !is_nested && !line.starts_with(['#', ';']);
            if let Some((key, value)) = line.split_once('=').filter(|_| is_setting) {
                found.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
            }
        }
    }
    found.retain(|_, value| !value.is_empty());
    (found, is_there)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const CREDENTIALS: &str = "[default]\naws_access_key_id = A\naws_secret_access_key=s/+=\n\
        \n# [work]\n[work]\naws_access_key_id = W\naws_secret_access_key = seal\n\
        aws_session_token = T\n[half]\naws_access_key_id = H\n";
    const CONFIG: &str = "[default]\nregion = eu-central-1\ns3 =\n  endpoint_url = no\n\
        [profile work]\nendpoint_url = https://store.example\n\
        [profile sso]\nsso_session = x\n[other]\nregion = no\n";

    #[test]
    fn profiles_of_both_files() {
        let of = |name: &str| profile(CREDENTIALS, CONFIG, name);
        let (default, _) = of("default");
        assert_eq!(keys(&default).unwrap(), ["A", "s/+="]);
        assert_eq!((&default["region"][..], default.get("endpoint_url")), ("eu-central-1", None));
        let (work, _) = of("work");
        assert_eq!(keys(&work).unwrap(), ["W", "seal"]);
        assert_eq!(work["aws_session_token"], "T");
        assert_eq!(work["endpoint_url"], "https://store.example");
        for (name, expected) in [
            ("sso", "from elsewhere (sso_session)"),
            ("half", "has no keys"),
            ("other", "there is no profile \"other\""),
        ] {
            let (found, is_there) = of(name);
            assert!(keys(&found).is_none(), "{name}");
            let message = refused(&found, name, is_there).to_string();
            assert!(message.contains(expected) && !message.contains("seal"), "{message}");
        }
    }
}
