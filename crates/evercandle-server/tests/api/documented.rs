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
    let parameters = document["paths"]["/v1/klines"]["get"]["parameters"].as_array().unwrap();
    let parameter = |name: &str| parameters.iter().find(|one| one["name"] == name).unwrap();
    for (name, other) in [("start", "`last`"), ("last", "`start`")] {
        let words = parameter(name)["description"].as_str().unwrap();
        assert!(words.contains(&format!("excludes {other}")), "{words}");
    }
}

/// Goal: what the document says of symbols is what is held against them, wherever one is named.
#[tokio::test]
async fn the_document_says_what_may_be_a_symbol() {
    let world = World::new().await;
    let document = world.get("/openapi.json").await.json();
    let schemas = &document["components"]["schemas"];
    let parameter = |path: &str, name: &str| {
        let parameters = document["paths"][path]["get"]["parameters"].as_array().unwrap();
        parameters.iter().find(|one| one["name"] == name).unwrap()["schema"].to_string()
    };
    for (described, word) in [
        (parameter("/v1/klines", "symbol"), "SymbolWord\""),
        (parameter("/v1/price/{symbol}", "symbol"), "SymbolWord\""),
        (parameter("/v1/prices", "symbols"), "SymbolWords\""),
        (parameter("/v1/stream", "symbols"), "SymbolWords\""),
        (
            schemas["SeriesOrder"]["properties"]["symbol"].to_string(),
            "SymbolWord\"",
        ),
    ] {
        assert!(described.contains(word), "{described}");
    }
    let allowed = |word: &str, text: &str| jsonschema::is_valid(&schemas[word], &text.into());
    for text in [
        "btcusdt",
        "BTC/USDT",
        "BTC-USDT",
        "BTC/USD:BTC-240628",
        "BTCUSD_PERP",
        "币安人生USDT",
    ] {
        assert!(
            allowed("SymbolWord", text) && allowed("SymbolWords", &format!("{text}, A,,B")),
            "{text}"
        );
        let status = world.get(&format!("/v1/price/{}", encoded(text))).await.status;
        assert!([200, 404].contains(&status), "{text}: {status}");
    }
    let too_long = "A".repeat(51);
    for text in [
        "", "../etc", "BTC USDT", "BTC+USDT", "BTC%", "\u{7f}", "A\u{1}B", &too_long,
    ] {
        assert!(!allowed("SymbolWord", text), "{text:?}");
        let encoded = encoded(text);
        for question in [
            "klines?interval=1h&last=1d&symbol",
            "prices?symbols",
            "stream?events=price&symbols",
        ] {
            let status = world.get(&format!("/v1/{question}={encoded}")).await.status;
            assert_eq!(status, 400, "{question}={text:?}");
        }
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
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
