"""What packaging/ has for Prometheus and Grafana asks for metrics that the daemon has, and for all of them; the alerts
fire when they should, and docs/daemon.md explains each."""

import itertools
import json
import re
import subprocess
from urllib.parse import urlencode

import pytest
import yaml
from support.cached import read, wait_cache
from support.fake_provider import Answer
from support.harness import CHECKOUT, free_port, new_directory, wait_until
from support.sidecar import MiniBrowser, fetch, metrics, someone

RULES = CHECKOUT / "packaging/prometheus-alerts.yml"
RULES_TEST = CHECKOUT / "tests/operation/prometheus-alerts.test.yml"
DASHBOARD = json.loads((CHECKOUT / "packaging/grafana-dashboard.json").read_text("utf-8"))
DOCS = {name: (CHECKOUT / f"docs/{name}.md").read_text("utf-8") for name in ("daemon", "cache")}
UNITS = {"short", "s", "ops", "reqps", "cpm", "percentunit", "bool_on_off"}  # of Grafana
OF_PROMETHEUS = {"job", "instance"}  # labels that it adds to each series


def alerts():
    return [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]


def panels():
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def shown():
    """The dashboard's expressions."""
    return [target["expr"] for panel in panels() for target in panel["targets"]]


def selectors(expression):
    """(metric, {label: (operator, value)}) for each metric in it."""
    for name, braces in re.findall(r"\b(oauth_sidecar_\w+|up)\b(?:\{([^}]*)\})?", expression):
        matchers = re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', braces)
        assert len(matchers) == braces.count('"') / 2, expression
        yield name, {label: (operator, value) for label, operator, value in matchers}


def grouped_by(expression):
    return {label for labels in re.findall(r"\bby \(([\w, ]+)\)", expression) for label in labels.split(", ")}


def family(name):
    return re.sub(r"_(bucket|sum|count)$", "", name)


def promtool(*arguments):
    return subprocess.run(["promtool", *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60)


class Prometheus:
    """A server of Debian's package, with our alerts."""

    def __init__(self, daemon):
        self.port, path = free_port(), new_directory("prometheus")
        (path / "prometheus.yml").write_text(json.dumps({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}, "rule_files": [str(RULES)],
            "scrape_configs": [{"job_name": "oauth-sidecar", "static_configs": [{"targets": [f"127.0.0.1:{daemon.port}"]}]}]}))
        self.log = path / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig=KILL", "--", "prometheus", f"--config.file={path}/prometheus.yml",
                 f"--storage.tsdb.path={path}/data", f"--web.listen-address=127.0.0.1:{self.port}"],
                cwd=path, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def get(self, path, **parameters):
        reply = fetch(f"http://127.0.0.1:{self.port}/api/v1/{path}?{urlencode(parameters)}")
        assert reply.status == 200, reply.text
        return reply.json["data"]

    def wait_ready(self):
        def answers():
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            try:
                return fetch(f"http://127.0.0.1:{self.port}/-/ready").status == 200
            except OSError:
                return False

        wait_until(answers, 60, what="Prometheus")
        return self

    def end(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def daemon(module_sidecar, module_redis, fake):
    """One that has done a little of everything."""
    redis = module_redis()
    daemon = module_sidecar({"fake": fake.settings(refresh_ahead=60)}, settings={"REDIS_URL": redis.url}, start=False)
    daemon.sql("ANALYZE oauth_tokens")
    daemon.start()
    wait_cache(daemon)
    use(daemon, fake)
    wait_until(lambda: all(any(name == of for name, _ in samples(daemon)) for of in
                           ("oauth_sidecar_revocations_total", "oauth_sidecar_cache_fills_total", "oauth_sidecar_cache_lag_seconds_sum")),
               20, what="what happens in the background")
    return daemon


def use(daemon, fake):
    whose = someone()
    assert MiniBrowser().open(daemon.link(whose)).query["oauth"] == "connected"
    fake.answer = Answer({"access_token": "new", "token_type": "Bearer", "expires_in": 3600})
    assert daemon.api("token", whose, force="true").status == 200
    fake.reset()
    for _ in range(3):
        read(daemon, whose)
    daemon.store(whose, "another token")
    assert daemon.api("token", whose, method="DELETE", revoke="always").status == 200
    assert daemon.get("/nothing").status == 404 and daemon.get("/healthz").status == 200


def samples(daemon):
    return metrics(daemon.get("/metrics").text)


@pytest.fixture(scope="module")
def known(daemon):
    """{metric: {label: values}}"""
    found = {"up": {}}
    for name, labels in samples(daemon):
        values = found.setdefault(name, {})
        for label, value in labels:
            values.setdefault(label, set()).add(value)
    return found


def documented(name):
    """What docs/ say in the row of a metric, or beside it."""
    name = family(name).removeprefix("oauth_sidecar_")
    return "\n".join(found for text in DOCS.values() for found in re.findall(rf"oauth_sidecar_{name}`[^\n]*", text))


def test_tokens_by_state(make_sidecar, fake):
    """Each once, by its state; and what is rare has a series before it happens, or no increase() would see the first."""
    daemon = make_sidecar({"fake": fake.settings()}, start=False)
    for kind, many in (("dead_grant", 3), ("transient", 2), (None, 1), ("other", 4)):
        for _ in range(many):
            whose = someone()
            daemon.sql("SELECT oauth_store(%s, %s, %s, %s, 'access', 'refresh')", whose)
            if kind != "other":
                [[fence]] = daemon.sql("SELECT fence FROM oauth_refresh_begin(%s, %s, %s, %s, force => true)", whose)
            if kind in ("dead_grant", "transient"):
                daemon.sql("SELECT oauth_refresh_fail(%s, %s, %s, %s, %s, %s, retry_after => '1 h')", [*whose, fence, kind])
    daemon.sql("ANALYZE oauth_tokens")
    daemon.start()

    def counted():
        return {dict(labels)["state"]: value for (name, labels), value in samples(daemon).items() if name == "oauth_sidecar_tokens"}

    wait_until(counted, what="the first count")
    assert counted() == {"needs_reauthorization": 3, "backing_off": 2, "refreshing": 1, "other": 4}
    for name, outcome in (("refreshes", "client_config"), ("refreshes", "spool_unavailable"), ("revocations", "given_up"),
                          ("flows", "unavailable")):
        assert samples(daemon)[f"oauth_sidecar_{name}_total", frozenset({("provider", "fake"), ("outcome", outcome)})] == 0


def test_rules_are_well_formed():
    for arguments in (["check", "rules", RULES], ["test", "rules", RULES_TEST]):
        done = promtool(*arguments)
        assert done.returncode == 0, done.stdout


def test_every_alert_is_tested_and_explained():
    names = [rule["alert"] for rule in alerts()]
    assert len(set(names)) == len(names) > 20
    test = RULES_TEST.read_text("utf-8")
    section = DOCS["daemon"].split("\n### Alerts\n")[1].split("\n#")[0]
    assert re.findall(r"^\| `(OAuth\w+)`", section, re.M) == names
    for rule in alerts():
        assert f'alertname="{rule["alert"]}"' in test
        assert rule["labels"]["severity"] in ("critical", "warning") and rule["annotations"]["summary"].endswith(".")
        assert set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])) <= grouped_by(rule["expr"]) or \
            not grouped_by(rule["expr"]), rule


def test_the_alert_of_a_full_batch_can_fire():
    """Unless entries are sealed, the metric never shows more than a batch reads."""
    [most] = re.findall(r"kInvalidationsAtOnce = (\d+);", (CHECKOUT / "sidecar/cache/invalidator.cpp").read_text("utf-8"))
    [behind] = [rule["expr"] for rule in alerts() if rule["alert"] == "OAuthCacheBehind"]
    assert behind.endswith(f">= {most}")


@pytest.mark.parametrize("expressions", [lambda: [rule["expr"] for rule in alerts()], shown, lambda: [
    series["series"] for test in yaml.safe_load(RULES_TEST.read_text("utf-8"))["tests"] for series in test["input_series"]]],
    ids=["alerts", "dashboard", "tests of alerts"])
def test_the_daemon_has_what_they_ask_for(known, expressions):
    for expression in expressions():
        asked = list(selectors(expression))
        assert asked, expression
        for name, matchers in asked:
            assert name in known, f"{name} in {expression}"
            labels = known[name]
            assert {*matchers, *grouped_by(expression)} <= {*labels, *OF_PROMETHEUS}, expression
            for label, (operator, wanted) in matchers.items():
                if label in ("status", "provider", "le") or label in OF_PROMETHEUS or wanted.startswith("$"):
                    continue  # those of HTTP, and those that users choose
                for value in wanted.split("|"):
                    assert value in labels[label] or re.search(rf"\b{value}\b", documented(name)), f"{label}={value} in {expression}"


def test_all_metrics_are_documented_and_shown(known):
    has = {family(name) for name in known} - {"up"}
    documents = {name for text in DOCS.values() for name in re.findall(r"`(oauth_sidecar_\w+)`", text)}
    assert documents == has
    assert {family(name) for expression in shown() for name, _ in selectors(expression)} == has


def test_the_dashboard_is_well_formed():
    every = DASHBOARD["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    assert len({panel["title"] for panel in every}) == len(every)
    places = [panel["gridPos"] for panel in every]
    for one in places:
        assert one["x"] >= 0 and one["y"] >= 0 and one["w"] > 0 and one["h"] > 0 and one["x"] + one["w"] <= 24, one
    for one, other in itertools.combinations(places, 2):
        assert one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"] \
            or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"], (one, other)
    variables = [variable["name"] for variable in DASHBOARD["templating"]["list"]]
    assert variables[0] == "datasource"
    for panel in panels():
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert set(re.findall(r"\$(\w+)", target["expr"])) <= {*variables, "__rate_interval"}, target
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= grouped_by(target["expr"]), target
            assert all("job" in matchers for _, matchers in selectors(target["expr"])), target


def test_every_panel_shows_something(daemon, fake):
    """In a Prometheus that reads the daemon's metrics, each expression has a result; and the alerts' have no error."""
    expressions = [re.sub(r"\$(job|provider)", ".*", text).replace("$__rate_interval", "1m") for text in shown()]
    prometheus = Prometheus(daemon)
    try:
        prometheus.wait_ready()

        def nothing_is_empty():
            use(daemon, fake)
            empty[:] = [text for text in expressions if not prometheus.get("query", query=text)["result"]]
            return not empty

        empty = []
        try:
            wait_until(nothing_is_empty, 40, interval=1)
        except TimeoutError:
            raise AssertionError(f"no result: {empty}") from None
        rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
        assert sorted(rule["name"] for rule in rules) == sorted(rule["alert"] for rule in alerts())
        wait_until(lambda: all(rule["health"] == "ok" for group in prometheus.get("rules")["groups"] for rule in group["rules"]),
                   20, what="the evaluation of the alerts")
    finally:
        prometheus.end()
