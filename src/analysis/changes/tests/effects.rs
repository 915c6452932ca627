//! Diffs of several languages, and what is read in them.

use super::super::diff;
use super::super::effect::{self, PRESERVING};

fn read(text: &str) -> (f64, String) {
    let effect = effect::of(&diff::read(text).0).unwrap();
    (effect.weight, effect.words.join("; "))
}

/// Refactors as people make them: none of them changes what happens.
pub(super) const PRESERVING_DIFFS: &[&str] = &[
    // Go: a variable renamed.
    "@@ a.go @@\n-\tc := r.Context()\n-\treturn fetch(c, q)\n+\tctx := r.Context()\n+\treturn fetch(ctx, q)",
    // Go: decoding goes into a helper that is defined elsewhere.
    "@@ h.go @@\n-\tvar in Request\n-\tif err := json.NewDecoder(r.Body).Decode(&in); err != nil {\n-\t\thttp.Error(w, err.Error(), 400)\n-\t\treturn\n-\t}\n-\tout, err := h.books.Load(r.Context(), in.ID)\n+\tin, err := decode[Request](r)\n+\tif err != nil {\n+\t\tfail(w, http.StatusBadRequest, err)\n+\t\treturn\n+\t}\n+\tout, err := h.books.Load(r.Context(), in.ID)",
    // Python: a function extracted within the diff.
    "@@ price.py @@\n-    total = sum(line.price * line.count for line in cart.lines)\n-    return total\n+    return total_of(cart)\n+\n+def total_of(cart):\n+    total = sum(line.price * line.count for line in cart.lines)\n+    return total",
    // Java: lines in another order.
    "@@ A.java @@\n-    private final Clock clock;\n-    private final Store store;\n+    private final Store store;\n+    private final Clock clock;",
    // TypeScript: imports sorted.
    "@@ a.ts @@\n-import { b } from './b';\n-import { a } from './a';\n+import { a } from './a';\n+import { b } from './b';",
    // Python: comments and logging.
    "@@ a.py @@\n-    logger.info('done %s', x)\n+    logger.info('finished %s', x)\n+    # it is finished",
    // Go: range checks become one helper.
    "@@ v.go @@\n-\tif p.Age < 0 || p.Age > 150 {\n-\t\treturn outOfRange(\"age\", p.Age)\n-\t}\n-\treturn nil\n+\treturn within(\"age\", p.Age, 0, 150)",
    // Java: a private method extracted, its caller in the same diff.
    "@@ A.java @@\n-    int tax = net * rate / 100;\n-    return net + tax;\n+    return gross(net, rate);\n+  }\n+\n+  private int gross(int net, int rate) {\n+    int tax = net * rate / 100;\n+    return net + tax;",
    // TypeScript: a long parameter list over several lines.
    "@@ a.ts @@\n-  send(order, user, basket, currency);\n+  send(\n+    order,\n+    user,\n+    basket,\n+    currency,\n+  );",
    // SQL: comments.
    "@@ v.sql @@\n--- totals by day\n+-- totals by day and shop",
    // Looks, tests, papers.
    "--- a/web/app.css\n+++ b/web/app.css\n@@ -1 +1 @@\n-.a { color: red }\n+.a { color: blue }",
    "--- a/pkg/retry_test.go\n+++ b/pkg/retry_test.go\n@@ -1 +1 @@\n-\tif x > 1 {\n+\tif x > 2 {",
    // Terraform: reformatted.
    "@@ main.tf @@\n-  size = \"large\"\n+  size   =   \"large\"",
    // A dependency's patch version.
    "@@ go.mod @@\n-\tgithub.com/x/y v1.2.3\n+\tgithub.com/x/y v1.2.4",
];

/// Changes of behaviour, with a word that must be told.
pub(super) const CHANGING_DIFFS: &[(&str, &str)] = &[
    ("@@ p.go @@\n-\tif resp.Auth == nil {\n-\t\treturn \"\"\n-\t}\n \treturn resp.Auth.Status", "removes a check"),
    ("@@ db.py @@\n-        conn.release()\n         return rows", "no longer calls conn.release()"),
    ("@@ Pool.java @@\n-    config.setMaximumPoolSize(50);\n+    config.setMaximumPoolSize(5);", "lowers a figure"),
    ("@@ c.ts @@\n-const timeout = 5_000;\n+const timeout = 300;", "lowers a figure: timeout 5_000 → 300"),
    (
        "@@ c.go @@\n-\tctx, cancel := context.WithTimeout(ctx, 5*time.Second)\n+\tcallCtx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)",
        "WithTimeout 5 Second → 300 Millisecond",
    ),
    ("@@ values.yaml @@\n-  level: info\n+  level: debug", "level info → debug"),
    ("@@ main.tf @@\n-  multi_az = true\n+  multi_az = false", "flips multi_az"),
    (
        "@@ q.go @@\n-\treturn `SELECT id FROM events\n-\t        WHERE tenant = $1\n-\t        LIMIT 50`\n+\treturn `SELECT id FROM events\n+\t        WHERE tenant = $1`",
        "drops LIMIT",
    ),
    ("@@ 7.sql @@\n+ALTER TABLE orders DROP COLUMN total;", "alters the schema"),
    (
        "@@ a.go @@\n-\tfor _, l := range cart.Lines {\n-\t\tadd(l.Name)\n-\t}\n+\tfor _, l := range cart.Lines {\n+\t\titem, err := a.catalog.Get(ctx, l.ID)\n+\t\tadd(item.Name)\n+\t}",
        "inside a loop: a.catalog.Get()",
    ),
    ("@@ m.py @@\n-    if retries < limit:\n+    if retries <= limit:", "alters a condition"),
    ("@@ m.go @@\n-\t\"title\": text,\n+\t\"name\": text,", "\"title\" → \"name\""),
    ("@@ boot.ts @@\n-  registerDefaults(registry);\n   await registry.warm();", "removes a call: registerDefaults()"),
    (
        "@@ w.go @@\n-\tif _, err := w.db.BatchWrite(ctx, all); err != nil {\n+\tif _, err := w.db.Put(ctx, one); err != nil {",
        "w.db.Put() instead of w.db.BatchWrite()",
    ),
    (
        "@@ c.py @@\n-    hit = cache.get(key)\n-    if hit is not None:\n-        return hit\n     return db.load(key)",
        "removes a call: cache.get()",
    ),
    (
        "@@ C.java @@\n-    try {\n-      gateway.charge(order);\n-    } catch (TimeoutException e) {\n-      retry.schedule(order);\n-    }\n+    gateway.charge(order);",
        "removes a check",
    ),
    (
        "@@ deploy.yaml @@\n-            memory: 512Mi\n+            memory: 128Mi",
        "lowers a figure: memory 512Mi → 128Mi",
    ),
    ("@@ q.ts @@\n-  const rows = await pool.query(sql);\n+  const rows = pool.query(sql);", "waits: await"),
    ("@@ 9.sql @@\n-CREATE INDEX orders_user ON orders (user_id);", "drops an index"),
    ("@@ k.rb @@\n-    key = \"cart:#{user.id}\"\n+    key = \"cart:#{session.id}\"", "in quotes"),
    ("@@ config.json @@\n-  \"maxRetries\": 3,\n+  \"maxRetries\": 50,", "raises a figure"),
    (
        "@@ l.rs @@\n-        let guard = self.state.lock().await;\n-        drop(guard);\n         self.send(order).await",
        "removes a call",
    ),
    ("@@ s.kt @@\n-    val rows = load(ids)\n+    val rows = async { load(ids) }", "runs at once"),
];

#[test]
fn refactors_preserve() {
    for text in PRESERVING_DIFFS {
        let (weight, words) = read(text);
        assert!(weight < PRESERVING, "{weight} {words}\n{text}");
    }
}

#[test]
fn behaviour_is_told_in_words() {
    for (text, expected) in CHANGING_DIFFS {
        let (weight, words) = read(text);
        assert!(weight >= 1.0 && words.contains(expected), "{weight} {words}\n{text}");
    }
}

#[test]
fn new_code_is_neither_nothing_nor_proof() {
    let (weight, words) = read("@@ a.go @@\n+\tif len(items) == 0 {\n+\t\treturn nil\n+\t}");
    assert!((0.35..1.0).contains(&weight), "{weight} {words}");
    assert_eq!(words, "adds a check");
    let (weight, words) =
        read("@@ a.py @@\n+    def favourites(self, user):\n+        return self.dao.favourites(user)");
    assert!((0.35..1.5).contains(&weight), "{weight} {words}");
}
