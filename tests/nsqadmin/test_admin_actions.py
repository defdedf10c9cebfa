"""What the API changes, who may, and who is told (nsqadmin sections 5.7, 7 and 8)."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from nsqtx.nsqadmin.hashing import hash_secret
from tests.support.adminapi import AdminOf
from tests.support.clusternet import Cluster
from tests.support.httpnet import Scripted

WRITES: list[tuple[str, str, Any]] = [
    ("POST", "/api/topics", {"topic": "n"}),
    ("POST", "/api/topics/t", {"action": "pause"}),
    ("POST", "/api/topics/t/c", {"action": "pause"}),
    ("DELETE", "/api/topics/t", None),
    ("DELETE", "/api/topics/t/c", None),
    ("DELETE", "/api/nodes/n1:4151", {"topic": "t"}),
]
NO_CHANNEL = 'got response 404 Not Found "{\\"message\\":\\"CHANNEL_NOT_FOUND\\"}"'


def admin_of(*nsqds: str, lookupds: int = 1, **options: Any) -> AdminOf:
    """An nsqadmin over a cluster."""
    return AdminOf(Cluster(*(nsqds or ("t/c u", "t/c")), lookupds=lookupds), **options)


def topics(admin: AdminOf) -> list[list[str]]:
    """The topics of each nsqd."""
    return [sorted(nsqd.node.broker.topics) for nsqd in admin.cluster.nsqds]


def test_create() -> None:
    """A topic is known to nsqlookupd; a channel is made where the topic is."""
    admin = admin_of()
    assert admin.ask("POST", "/api/topics", {"topic": "n"}).json == {"message": ""}
    assert admin.get("/api/topics").json["topics"] == ["n", "t", "u"]
    assert topics(admin) == [["t", "u"], ["t"]]
    body = {"topic": "u", "channel": "new"}
    assert admin.ask("POST", "/api/topics", body).json == {"message": ""}
    assert list(admin.cluster.nsqds[0].node.broker.topics["u"].channels) == ["new"]


def test_create_without_nsqlookupd() -> None:
    """A topic: 200 and nothing; a channel: 502 (nsqadmin section 7)."""
    admin = admin_of(lookupds=0)
    assert admin.ask("POST", "/api/topics", {"topic": "n"}).json == {"message": ""}
    answer = admin.ask("POST", "/api/topics", {"topic": "t", "channel": "n"})
    text = "UPSTREAM_ERROR: failed to query any nsqlookupd: "
    assert (answer.status, answer.message) == (502, text)


@pytest.mark.parametrize("lookupds", [0, 1])
def test_delete(lookupds: int) -> None:
    """A channel, then its topic, everywhere."""
    admin = admin_of(lookupds=lookupds)
    assert admin.ask("DELETE", "/api/topics/t/c").json == {"message": ""}
    assert [n.node.broker.topics["t"].channels for n in admin.cluster.nsqds] == [{}, {}]
    assert admin.ask("DELETE", "/api/topics/t").json == {"message": ""}
    assert topics(admin) == [["u"], []]


def test_pause_unpause_empty() -> None:
    """Of a topic and of a channel."""
    admin = admin_of("t/c")
    topic = admin.cluster.nsqds[0].node.broker.topics["t"]
    channel = topic.channels["c"]
    for path, each in (("/api/topics/t", topic), ("/api/topics/t/c", channel)):
        assert admin.ask("POST", path, {"action": "pause"}).json == {"message": ""}
        assert each.paused
        assert admin.ask("POST", path, {"action": "unpause"}).json == {"message": ""}
        assert not each.paused
    topic.publish([b"x"])
    topic.pause()
    topic.publish([b"y"])
    assert admin.ask("POST", "/api/topics/t", {"action": "empty"}).json == {"message": ""}
    assert (topic.depth, channel.depth) == (0, 1)
    assert admin.ask("POST", "/api/topics/t/c", {"action": "empty"}).json == {"message": ""}
    assert channel.depth == 0


def test_tombstone() -> None:
    """The node loses the topic."""
    admin = admin_of()
    answer = admin.ask("DELETE", "/api/nodes/n1:4151", {"topic": "t"})
    assert answer.json == {"message": ""}
    assert topics(admin) == [["u"], ["t"]]


@pytest.mark.parametrize(
    ("method", "path", "body", "message"),
    [
        ("POST", "/api/topics", b"", "EOF"),
        ("POST", "/api/topics", b" \n", "EOF"),
        ("POST", "/api/topics", b"{", "unexpected EOF"),
        ("POST", "/api/topics", b'{"topic":"t', "unexpected EOF"),
        ("POST", "/api/topics", b"x", "invalid character 'x' looking for beginning of value"),
        ("POST", "/api/topics", b"[" * 10_000, "nested too deep"),
        ("POST", "/api/topics", b"[]", "json: cannot unmarshal what is no object"),
        ("POST", "/api/topics", b"NaN", "NaN is not JSON"),
        ("POST", "/api/topics", b"null", "INVALID_TOPIC"),
        ("POST", "/api/topics", b"{}", "INVALID_TOPIC"),
        ("POST", "/api/topics", b'{"topic":"a:b"}', "INVALID_TOPIC"),
        ("POST", "/api/topics", b'{"topic":"t","channel":"a:b"}', "INVALID_CHANNEL"),
        ("POST", "/api/topics", b'{"topic":1}', "topic is no string"),
        ("POST", "/api/topics/t", b"", "EOF"),
        ("POST", "/api/topics/t", b"{}", "INVALID_ACTION"),
        ("POST", "/api/topics/t", b'{"action":"Pause"}', "INVALID_ACTION"),
        ("POST", "/api/topics/t/c", b'{"action":"delete"}', "INVALID_ACTION"),
        ("DELETE", "/api/nodes/n1:4151", b"", "INVALID_BODY"),
        ("DELETE", "/api/nodes/n1:4151", b'{"topic":1}', "INVALID_BODY"),
        ("DELETE", "/api/nodes/n1:4151", b"{}", "INVALID_TOPIC"),
    ],
)
def test_bad_bodies(method: str, path: str, body: bytes, message: str) -> None:
    """400, before anything is asked or done."""
    admin = admin_of()
    answer = admin.ask(method, path, body)
    assert (answer.status, answer.message) == (400, message)
    assert admin.net.asked == ["http://admin:4171"]


def test_what_follows_the_first_value_is_passed_over() -> None:
    """And keys match whatever their case, as in Go."""
    admin = admin_of()
    assert admin.ask("POST", "/api/topics", b' {"Topic":"n"} and more').status == 200
    assert admin.get("/api/topics").json["topics"] == ["n", "t", "u"]


def test_a_body_that_is_too_large() -> None:
    """It is not read."""
    answer = admin_of().ask("POST", "/api/topics", b" " * (1024 * 1024 + 1))
    assert (answer.status, answer.message) == (413, "BODY_TOO_BIG")


def test_some_refuse() -> None:
    """That is a warning, also if all do (nsqadmin section 12, trap 4)."""
    admin = admin_of("t/c", "t")
    answer = admin.ask("POST", "/api/topics/t/c", {"action": "pause"})
    assert (answer.status, answer.message) == (200, f"WARNING: {NO_CHANNEL}")
    answer = admin.ask("POST", "/api/topics/t/no", {"action": "pause"})
    assert (answer.status, answer.message) == (200, f"WARNING: {NO_CHANNEL}\n{NO_CHANNEL}")
    answer = admin.ask("POST", "/api/topics/t/a:b", {"action": "pause"})
    assert (answer.status, answer.message.count("no name of a channel")) == (200, 2)


@pytest.mark.parametrize(("method", "path", "body"), WRITES[1:5])
def test_nobody_says_whom_to_tell(method: str, path: str, body: Any) -> None:
    """502, and nothing is done."""
    admin = admin_of()
    admin.cluster.down("l1:4161")
    answer = admin.ask(method, path, body)
    assert answer.status == 502
    assert answer.message.startswith("UPSTREAM_ERROR: failed to query any nsqlookupd: Get ")


def test_an_unreachable_nsqlookupd_does_not_keep_from_creating() -> None:
    """The original says 200 even if none is told (nsqadmin section 7)."""
    admin = admin_of()
    admin.cluster.down("l1:4161")
    answer = admin.ask("POST", "/api/topics", {"topic": "n"})
    assert answer.status == 200
    assert answer.message.startswith('WARNING: Post "http://l1:4161/topic/create?topic=n": dial')


def test_a_tombstone_of_a_node_that_is_down() -> None:
    """Is set, and yet 502 (nsqadmin section 12, trap 10)."""
    admin = admin_of()
    admin.cluster.down("n1:4151")
    answer = admin.ask("DELETE", "/api/nodes/n1:4151", {"topic": "t"})
    assert answer.status == 502
    node = admin.get("/api/nodes").json["nodes"][0]
    assert node["topics"][0] == {"topic": "t", "tombstoned": True}


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
@pytest.mark.parametrize(
    ("user", "allowed"), [("bob", True), ("eve", False), ("", False), ("Bob", False)]
)
def test_admin_users(method: str, path: str, body: Any, user: str, allowed: bool) -> None:
    """Only who is one of them, to the letter, changes anything."""
    admin = admin_of(admin_user=["alice", "bob"])
    before = topics(admin)
    headers = {"X-Forwarded-User": user} if user else {}
    answer = admin.ask(method, path, body, headers)
    if allowed:
        assert answer.json == {"message": ""}
    else:
        assert (answer.status, answer.message) == (403, "FORBIDDEN")
        assert topics(admin) == before
    assert admin.get("/api/topics").status == 200


def test_another_header_for_the_user() -> None:
    """As ``--acl-http-header`` says; who may not is told so before the body is looked at."""
    admin = admin_of(admin_user=["bob"], acl_http_header="X-User")
    assert admin.ask("POST", "/api/topics", b"x", {"X-Forwarded-User": "bob"}).status == 403
    assert admin.ask("POST", "/api/topics", b"x", {"X-User": "bob"}).status == 400


def test_who_leaves_does_not_stop_what_was_begun() -> None:
    """Else a topic would be gone from nsqlookupd and still be on its nodes."""
    admin = admin_of()
    lookupd = admin.net.sites["l1:4161"]
    nodes = {"producers": [{"broadcast_address": "n1", "http_port": 4151}]}
    slow = Scripted({"GET /lookup": (200, json.dumps(nodes).encode()), "POST /topic/delete": None})
    admin.net.sites["l1:4161"] = slow
    asking = admin.begin("DELETE", "/api/topics/t")
    admin.net.flush()
    assert slow.requests[-1].startswith("POST /topic/delete")
    asking.addErrback(lambda failure: None)
    asking.cancel()
    admin.net.flush()
    assert topics(admin) == [["t", "u"], ["t"]]
    admin.net.sites["l1:4161"] = lookupd
    admin.net.clock.advance(5.1)
    admin.net.flush()
    assert topics(admin) == [["u"], ["t"]]


ROLES = ("view", "operate", "admin")


@pytest.fixture(scope="module")
def login_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A user for each role, whose secret is the role's name; others may view."""
    path = tmp_path_factory.mktemp("login") / "login.toml"
    lines = ['anonymous = "view"']
    for role in ROLES:
        lines += [f"[users.{role}]", f'secret = "{hash_secret(role, 2)}"', f'role = "{role}"']
    path.write_text("\n".join(lines))
    return str(path)


def basic(name: str) -> str:
    """HTTP Basic of one of them."""
    return "Basic " + b64encode(f"{name}:{name}".encode()).decode()


@pytest.mark.parametrize("role", ["", *ROLES])
@pytest.mark.parametrize(
    ("method", "path", "body", "needed"),
    [
        ("POST", "/api/topics", {"topic": "n"}, "operate"),
        ("POST", "/api/topics/t", {"action": "pause"}, "operate"),
        ("POST", "/api/topics/t/c", {"action": "unpause"}, "operate"),
        ("POST", "/api/topics/t/c", {"action": "empty"}, "admin"),
        ("DELETE", "/api/topics/t", None, "admin"),
        ("DELETE", "/api/topics/t/c", None, "admin"),
        ("DELETE", "/api/nodes/n1:4151", {"topic": "t"}, "admin"),
        ("GET", "/config/log_level", None, "admin"),
        ("GET", "/api/topics", None, "view"),
    ],
)
def test_roles(method: str, path: str, body: Any, needed: str, role: str, login_file: str) -> None:
    """With a login, the role decides."""
    admin = admin_of(login_file=login_file)
    headers = {"Authorization": basic(role)} if role else {}
    answer = admin.ask(method, path, body, headers)
    allowed = ROLES.index(role or "view") >= ROLES.index(needed)
    assert answer.status == (200 if allowed else 403)


def test_a_wrong_secret(login_file: str) -> None:
    """Is refused, also where nobody has to log in."""
    headers = {"Authorization": "Basic YWRtaW46eA=="}
    assert admin_of(login_file=login_file).get("/api/topics", **headers).status == 401


def test_who_has_logged_in_is_notified_of(login_file: str) -> None:
    """By the name that was proved."""
    hook = Hook(login_file=login_file)
    (said,) = hook.do("DELETE", "/api/topics/t", Authorization=basic("admin"))
    assert said["user"] == "admin"


class Hook:
    """An endpoint that is told of actions."""

    def __init__(self, **options: Any) -> None:
        url = "http://hook:80/it?secret=s3"
        self.admin = admin_of(notification_http_endpoint=url, **options)
        self.admin.admin.hostname = "here"
        self.site = Scripted({"POST /it": (200, b"")})
        self.admin.net.sites["hook:80"] = self.site

    def do(self, method: str, path: str, body: Any = None, **headers: str) -> list[Any]:
        """What is said of an action."""
        self.site.bodies.clear()
        self.admin.ask(method, path, body, headers)
        self.admin.net.flush()
        return [json.loads(each) for each in self.site.bodies]


def test_notifications() -> None:
    """All keys in order; the user is that of HTTP Basic."""
    hook = Hook()
    basic = {"Authorization": "Basic Ym9iOnNlY3JldA=="}
    (said,) = hook.do("POST", "/api/topics", {"topic": "n"}, **basic)
    assert list(said) == ["action", "topic", "timestamp", "user", "remote_ip", "user_agent",
                          "url", "via"]  # fmt: skip
    assert said["action"] == "create_topic"
    assert said["user"] == "bob"
    assert said["remote_ip"] == "127.0.0.1:50000"
    assert said["timestamp"] == 1_700_000_000
    assert said["url"] == "http://admin:4171/api/topics"
    assert hook.site.headers[0]["content-type"] == "application/json"
    (said,) = hook.do("DELETE", "/api/topics/t/c", **{"X-Scheme": "https"})
    assert (said["channel"], said["url"]) == ("c", "https://admin:4171/api/topics/t/c")
    assert "user" not in said


@pytest.mark.parametrize(
    ("method", "path", "body", "actions"),
    [
        ("POST", "/api/topics", {"topic": "n"}, ["create_topic"]),
        ("POST", "/api/topics", {"topic": "n", "channel": "c"}, ["create_topic", "create_channel"]),
        ("DELETE", "/api/topics/t", None, ["delete_topic"]),
        ("DELETE", "/api/topics/t/c", None, ["delete_channel"]),
        ("DELETE", "/api/nodes/n1:4151", {"topic": "t"}, ["tombstone_topic_producer"]),
        *(
            ("POST", f"/api/topics/t{part}", {"action": action}, [f"{action}_{kind}"])
            for part, kind in (("", "topic"), ("/c", "channel"))
            for action in ("pause", "unpause", "empty")
        ),
        # Nothing comes of these: only what does something to what is there is notified of.
        ("POST", "/api/topics/no", {"action": "pause"}, ["pause_topic"]),
        ("DELETE", "/api/topics/no", None, []),
        ("DELETE", "/api/nodes/n9:4151", {"topic": "t"}, []),
        ("POST", "/api/topics/t", {"action": "x"}, []),
    ],
)
def test_what_is_notified_of(method: str, path: str, body: Any, actions: list[str]) -> None:
    """Names of actions, and when (nsqadmin section 8.2)."""
    assert [each["action"] for each in Hook().do(method, path, body)] == actions


def test_an_endpoint_that_is_down_keeps_nobody_waiting() -> None:
    """It is logged; the next one is posted all the same."""
    hook = Hook()
    hook.admin.cluster.down("hook:80")
    assert hook.do("POST", "/api/topics", {"topic": "n"}) == []
    hook.admin.net.sites["hook:80"] = hook.site
    assert len(hook.do("POST", "/api/topics", {"topic": "n"})) == 1


def test_an_endpoint_that_does_not_answer() -> None:
    """Is given up in time, then comes the next; at a stop nothing stays."""
    hook = Hook()
    hook.site.answers["POST /it"] = None
    hook.do("POST", "/api/topics", {"topic": "a"})
    hook.do("POST", "/api/topics", {"topic": "b"})
    assert len(hook.site.requests) == 1
    hook.admin.net.clock.advance(5.1)
    hook.admin.net.flush()
    assert len(hook.site.requests) == 2
    hook.admin.admin.stop()
    assert not [call for call in hook.admin.net.clock.getDelayedCalls() if call.active()]
