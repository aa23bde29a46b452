//! The document and the page that shows it.

use crate::support::World;

#[tokio::test]
async fn the_document_names_every_path() {
    let world = World::new().await;
    let reply = world.get("/openapi.json").await;
    let document = reply.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    for path in [
        "/v1/klines",
        "/v1/price/{symbol}",
        "/v1/prices",
        "/v1/sentiment",
        "/v1/symbols",
        "/v1/watches",
        "/v1/stream",
        "/health",
        "/health/live",
        "/health/ready",
        "/health/scheduler",
        "/metrics",
        "/admin/refresh",
    ] {
        let operations = document["paths"][path]
            .as_object()
            .unwrap_or_else(|| panic!("{path} is not there"));
        for (method, operation) in operations {
            assert!(operation["responses"]["default"].is_object(), "{method} {path}");
        }
    }
    // Whatever is referred to is there.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
    let tag = reply.header("etag");
    assert_eq!(
        world
            .ask("GET", "/openapi.json", &[("If-None-Match", tag)])
            .await
            .status,
        304
    );
}

/// Goal: whoever asks by the document is not surprised: what is refused for its form is said there.
#[tokio::test]
async fn the_document_says_what_is_refused_for_its_form() {
    let world = World::new().await;
    let document = world.get("/openapi.json").await.json();
    let order = &document["components"]["schemas"]["SeriesOrder"]["properties"];
    assert_eq!(
        (&order["symbol"]["minLength"], &order["symbol"]["maxLength"]),
        (&1.into(), &50.into())
    );
    assert_eq!(order["interval"]["minLength"], 1);
    let parameters = document["paths"]["/v1/klines"]["get"]["parameters"].as_array().unwrap();
    let parameter = |name: &str| parameters.iter().find(|one| one["name"] == name).unwrap();
    for (name, other) in [("start", "`last`"), ("last", "`start`")] {
        let words = parameter(name)["description"].as_str().unwrap();
        assert!(words.contains(&format!("excludes {other}")), "{words}");
    }
    let pattern = parameter("symbol")["schema"]["pattern"].as_str().unwrap();
    assert_eq!(pattern, r"^[^\u0000-\u001f\u007f]+$");
}

/// Goal: the page works under the policy that it is sent with, and asks nobody else.
#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let world = World::new().await;
    assert_eq!(world.get("/docs").await.header("location"), "/docs/");
    let page = world.get("/docs/").await;
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.header("content-security-policy").contains("script-src 'self'"));
    let html = page.text();
    assert!(!html.contains("http://") && !html.contains("https://"), "{html}");
    for inline in ["<script>", "onload=", "onclick="] {
        assert!(!html.contains(inline), "{inline} is not allowed by the policy: {html}");
    }
    for quoted in html.split("src=\"").chain(html.split("href=\"")).skip(1) {
        let asset = quoted.split('"').next().unwrap().trim_start_matches("./");
        if asset.ends_with(".js") || asset.ends_with(".css") {
            assert_eq!(world.get(&format!("/docs/{asset}")).await.status, 200, "{asset}");
        }
    }
    let script = world.get("/docs/swagger-initializer.js").await;
    assert!(
        script.text().contains("/openapi.json") && script.text().contains("\"validatorUrl\": \"none\""),
        "{}",
        script.text()
    );
}
