//! The page in a real browser, where one is installed.
//!
//! `HUB_SCREENSHOTS=FOLDER cargo test --release -- page::` also draws a large family, and leaves pictures.

#[path = "../../../support/hub_simulation.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod simulation;

use std::collections::HashMap;
use std::path::Path;

use mother::signature::Signature;
use serde_json::json;
use tempfile::TempDir;

use crate::support::browser::Browser;
use crate::support::{Server, models};

/// Opens the page, or reports that there is no browser.
fn open(server: &Server, hash: &str) -> Option<Browser> {
    let browser = Browser::open(&format!("http://{}/#{hash}", server.address), 1280, 800);
    if browser.is_none() {
        eprintln!("skipped: no Chromium is installed (HUB_CHROMIUM names one)");
    }
    browser
}

const ITEMS: &str = "document.querySelectorAll('#tree [role=treeitem]').length";
const ACTIVE: &str = "document.activeElement.querySelector('.name').textContent";

/// A hub with a family of thirteen models, one of which is named like markup and has a wrong card.
fn family() -> (TempDir, Server) {
    let folder = TempDir::new().unwrap();
    let server = Server::start(&folder, &[]);
    let base = models::base(1);
    let put = |id: &str, layers: &models::Layers, query: &str| {
        let body = models::signature(layers).to_bytes();
        server
            .put(&format!("/models/{id}/signature{query}"), &body)
            .expect(201);
    };
    put("acme/base", &base, "");
    for seed in 0..8 {
        put(
            &format!("acme/child-{seed}"),
            &models::child(&base, seed),
            "",
        );
    }
    let grown = models::child(&base, 0);
    for seed in 20..23 {
        put(
            &format!("acme/grandchild-{seed}"),
            &models::child(&grown, seed),
            "",
        );
    }
    let markup = "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E";
    put(markup, &models::child(&base, 30), "?base_model=28z45m22");
    server.get(&format!("/models/{markup}?wait=60")).expect(200);
    (folder, server)
}

#[test]
fn the_tree_can_be_read_and_walked_with_keys() {
    let (_folder, server) = family();
    let Some(mut page) = open(&server, "acme%2Fbase") else {
        return;
    };
    page.wait_for(&format!("{ITEMS} === 13"));
    page.wait_for("document.querySelector('#detail dl') !== null");
    page.evaluate("document.querySelector('#tree [tabindex=\"0\"]').focus()");
    page.press("Home");
    assert_eq!(page.evaluate(ACTIVE), "acme/base");
    page.press("ArrowDown");
    assert_eq!(
        page.evaluate("document.activeElement.getAttribute('aria-level')"),
        "2"
    );
    page.press("ArrowLeft");
    page.press("ArrowLeft");
    assert_eq!(page.evaluate(ACTIVE), "acme/base");
    page.press("ArrowLeft");
    assert_eq!(
        page.evaluate("document.activeElement.getAttribute('aria-expanded')"),
        "false"
    );
    assert_eq!(page.evaluate(ITEMS), 1);
    page.press("ArrowRight");
    page.press("*");
    page.press("End");
    let last = page.evaluate(ACTIVE);
    page.press("ArrowDown");
    assert_eq!(page.evaluate(ACTIVE), last);
    page.press("ArrowUp");
    assert_ne!(page.evaluate(ACTIVE), last);
    // Letters jump to a name, and Enter chooses it.
    page.press("Home");
    page.press("<");
    assert_eq!(page.evaluate(ACTIVE), "<img src=x onerror=alert(1)>");
    page.press("Enter");
    page.wait_for("document.querySelector('#detail-title').textContent.startsWith('<img')");
    page.wait_for("document.activeElement.getAttribute('aria-selected') === 'true'");
    let tabs = "document.querySelectorAll('#tree [tabindex=\"0\"]').length";
    assert_eq!(page.evaluate(tabs), 1);
    assert_eq!(page.problems, [""; 0]);
}

#[test]
fn a_screen_reader_hears_what_the_eye_sees() {
    let (_folder, server) = family();
    let Some(mut page) = open(&server, "acme%2Fbase") else {
        return;
    };
    page.wait_for(&format!("{ITEMS} === 13"));
    let tree = page.call("Accessibility.getFullAXTree", json!({}));
    let nodes = tree["nodes"].as_array().unwrap();
    let role = |role: &'static str| {
        nodes
            .iter()
            .filter(move |node| node["role"]["value"] == role)
    };
    assert_eq!(role("tree").count(), 1);
    assert_eq!(role("treeitem").count(), 13);
    let name = |node: &serde_json::Value| node["name"]["value"].as_str().unwrap().to_owned();
    let names: Vec<String> = role("treeitem").map(name).collect();
    let markup = names.iter().find(|name| name.starts_with("<img")).unwrap();
    assert!(
        markup.contains("trained from acme/base, probability"),
        "{markup}"
    );
    assert!(markup.contains("warning: card says otherwise"), "{markup}");
    let of_tree: Vec<_> = role("tree").map(name).collect();
    assert_eq!(of_tree, ["Family of acme/base (13 models)"]);
    let searches = role("searchbox").map(name).collect::<Vec<_>>();
    assert_eq!(searches, ["Find a model"]);
}

#[test]
fn names_never_become_markup_and_searching_finds_them() {
    let (_folder, server) = family();
    let Some(mut page) = open(&server, "acme%2Fbase") else {
        return;
    };
    page.wait_for(&format!("{ITEMS} === 13"));
    page.evaluate("document.querySelector('#query').focus()");
    page.call("Input.insertText", json!({"text": "<IMG"}));
    page.wait_for("document.querySelectorAll('#results button').length === 1");
    page.press("Enter");
    page.evaluate("document.querySelector('#results button').click()");
    page.wait_for("document.querySelector('#detail-title').textContent.startsWith('<img')");
    page.wait_for("document.querySelector('#detail .warn') !== null");
    assert_eq!(page.evaluate("document.images.length"), 0);
    let warnings = "[...document.querySelectorAll('#detail .warn')].map(w => w.textContent).join()";
    assert_eq!(page.evaluate(warnings), "⚠ card says otherwise");
    // A script from outside isn't run: the policy forbids it.
    let injected = "(() => { const s = document.createElement('script'); s.textContent = 'window.bad = 1'; \
                    document.body.append(s); return window.bad === undefined; })()";
    assert_eq!(page.evaluate(injected), true);
}

#[test]
fn it_zooms_collapses_and_has_a_dark_side() {
    let (_folder, server) = family();
    let Some(mut page) = open(&server, "acme%2Fbase") else {
        return;
    };
    page.wait_for(&format!("{ITEMS} === 13"));
    let size = "parseFloat(getComputedStyle(document.querySelector('#tree')).fontSize)";
    let before = page.evaluate(size).as_f64().unwrap();
    page.evaluate("document.querySelector('#larger').click()");
    assert!(page.evaluate(size).as_f64().unwrap() > before);
    page.evaluate("document.querySelector('#smaller').click()");
    page.evaluate("document.querySelector('#collapse').click()");
    assert_eq!(page.evaluate(ITEMS), 1);
    page.evaluate("document.querySelector('#expand').click()");
    assert_eq!(page.evaluate(ITEMS), 13);
    let ground = "getComputedStyle(document.body).backgroundColor";
    let mut colours = Vec::new();
    for scheme in ["light", "dark"] {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        page.call("Emulation.setEmulatedMedia", features);
        colours.push(page.evaluate(ground));
    }
    assert_ne!(colours[0], colours[1]);
    assert_eq!(page.problems, [""; 0]);
}

/// Adds the largest family of a simulated hub, and returns the id of its root.
fn simulate(server: &Server, count: usize) -> String {
    let plan = simulation::Plan {
        models: count,
        seed: 0,
        numbers: 2048,
        steps: (0.003, 0.1),
    };
    let hub = simulation::Hub::new(plan);
    let mut known = HashMap::<String, Signature>::new();
    let family: Vec<usize> = (0..count).filter(|&model| hub.family(model) == 0).collect();
    for &model in &family {
        let signature = hub.signature(model, |name| known.get(name)).unwrap();
        let id = format!("acme%2F{}", hub.name(model));
        server
            .put(&format!("/models/{id}/signature"), &signature.to_bytes())
            .expect(201);
        known.insert(hub.name(model), signature);
    }
    let last = format!(
        "/models/acme%2F{}?wait=60",
        hub.name(family[family.len() - 1])
    );
    while server.get(&last).expect(200)["pending"] == true {}
    let graph = server.get("/graph").expect(200);
    let trees = graph["trees"].as_array().unwrap();
    let largest = trees
        .iter()
        .max_by_key(|tree| tree["size"].as_u64())
        .unwrap();
    largest["root"].as_str().unwrap().to_owned()
}

#[test]
fn a_large_family_opens_and_pictures_are_kept_where_they_are_wanted() {
    let pictures = std::env::var("HUB_SCREENSHOTS").ok();
    let folder = TempDir::new().unwrap();
    let server = Server::start(&folder, &[]);
    if let Some(pictures) = &pictures {
        let (_small, family) = family();
        for (hash, scheme, name) in [
            ("acme%2Fbase", "light", "small"),
            ("28z45m22", "dark", "zoo"),
        ] {
            let Some(mut page) = open(&family, hash) else {
                return;
            };
            save(&mut page, scheme, &Path::new(pictures).join(name));
        }
    }
    let root = simulate(&server, if pictures.is_some() { 30_000 } else { 2000 });
    let Some(mut page) = open(&server, &root.replace('/', "%2F")) else {
        return;
    };
    page.wait_for(&format!("{ITEMS} > 20"));
    if let Some(pictures) = &pictures {
        save(&mut page, "light", &Path::new(pictures).join("large"));
    }
    page.evaluate("document.querySelector('#expand').click()");
    let all = "Number(/\\((\\d+) /.exec(document.querySelector('#family-title').textContent)[1])";
    page.wait_for(&format!("{ITEMS} === {all}"));
    page.evaluate("document.querySelector('#tree [tabindex=\"0\"]').focus()");
    page.press("Home");
    page.press("End");
    page.press("ArrowUp");
    assert_ne!(page.evaluate(ACTIVE), root);
    assert_eq!(page.problems, [""; 0]);
    if let Some(pictures) = &pictures {
        for _ in 0..5 {
            page.evaluate("document.querySelector('#smaller').click()");
        }
        save(
            &mut page,
            "dark",
            &Path::new(pictures).join("large-zoomed-out"),
        );
    }
}

/// Leaves a picture, which `base64 -d` decodes.
fn save(page: &mut Browser, scheme: &str, path: &Path) {
    let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
    page.call("Emulation.setEmulatedMedia", features);
    page.wait_for("document.querySelector('#detail dl') !== null");
    std::fs::write(path.with_extension("png.base64"), page.screenshot()).unwrap();
}
