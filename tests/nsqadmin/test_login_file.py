"""The login file of nsqadmin, and the hashes in it."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from nsqtx.nsqadmin import hashing
from nsqtx.nsqadmin.hashing import HashedSecret, hash_secret
from nsqtx.nsqadmin.loginfile import LoginFileError, WatchedLoginFile, read_login_file
from nsqtx.nsqadmin.roles import Role, may
from tests.support.logged import Logged

HASH = str(hash_secret("s", cost=2))


def test_a_hash_is_good_for_its_secret_alone() -> None:
    """Also after it was written and read; and no two are alike."""
    hashed = HashedSecret.parse(str(hash_secret("räksmörgås", cost=2)))
    assert hashed.matches("räksmörgås")
    assert not hashed.matches("raksmorgas")
    assert str(hash_secret("s", cost=2)) != HASH


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        "scrypt$2$8$1$AAAA",
        "scrypt$3$8$1$AAAA$AAAA",
        "scrypt$2$8$1$AAAA$",
        "scrypt$2$8$1$???$AAAA",
        "scrypt$x$8$1$AAAA$AAAA",
        "scrypt$1073741824$8$1$AAAA$AAAA",
        "bcrypt$2$8$1$AAAA$AAAA",
    ],
)
def test_what_is_no_hash_is_refused(text: str) -> None:
    """A secret in clear, a damaged hash, one that would take all memory."""
    with pytest.raises(ValueError):
        HashedSecret.parse(text)


def test_the_command_writes_a_hash(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the line it reads."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("hunter2\n"))
    hashing.main()
    assert HashedSecret.parse(capsys.readouterr().out.strip()).matches("hunter2")


def test_a_file(tmp_path: Path) -> None:
    """Users, tokens, and the role of those who are neither."""
    path = tmp_path / "login.toml"
    path.write_text(
        f'anonymous = "view"\n'
        f'[users.ann]\nsecret = "{HASH}"\nrole = "admin"\n'
        f'[tokens.ci]\nsecret = "{HASH}"\nrole = "operate"\n'
    )
    file = read_login_file(str(path))
    assert file.anonymous is Role.VIEW
    assert {name: user.role for name, user in file.users.items()} == {"ann": Role.ADMIN}
    assert file.tokens["ci"].secret.matches("s")
    assert "scrypt" not in repr(file)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no users"),
        ("x", "Expected"),
        ('user = "x"', "'user' is not known"),
        ("users = 3", "no table"),
        ('[users.ann]\nsecret = "s"\nrole = "admin"', "users.ann: a hash has"),
        (f'[users.ann]\nsecret = "{HASH}"\nrole = "root"', "users.ann: 'root' is no role"),
        (f'[users.ann]\nsecret = "{HASH}"', "needs a secret and a role"),
        (f'[users."a:b"]\nsecret = "{HASH}"\nrole = "view"', "no colon"),
        ("[users.ann]\nsecret = 1\nrole = 'view'", "secret is no string"),
        ("anonymous = 'root'", "'root' is no role"),
    ],
)
def test_a_file_that_is_not_understood_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    """All of it, with the reason."""
    path = tmp_path / "login.toml"
    path.write_text(text)
    with pytest.raises(LoginFileError, match=reason):
        read_login_file(str(path))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """It is named."""
    with pytest.raises(LoginFileError, match="nothing"):
        read_login_file(str(tmp_path / "nothing.toml"))


def test_a_file_that_is_changed_counts(tmp_path: Path) -> None:
    """Within seconds, unless it cannot be used: then it is as before, and the log says why."""
    path = tmp_path / "login.toml"
    path.write_text(f'[users.ann]\nsecret = "{HASH}"\nrole = "admin"\n')
    clock = Clock()
    file = WatchedLoginFile(str(path), clock)
    path.write_text(f'[users.bob]\nsecret = "{HASH}"\nrole = "operate"\n')
    clock.advance(4)
    assert list(file.current().users) == ["ann"]
    clock.advance(1)
    assert list(file.current().users) == ["bob"]
    path.write_text("nonsense")
    clock.advance(5)
    with Logged() as log:
        assert list(file.current().users) == ["bob"]
        clock.advance(5)
        file.current()
    assert [line[:30] for line in log.lines] == ["E the login file is not used, "]
    path.unlink()
    clock.advance(5)
    assert list(file.current().users) == ["bob"]


def test_roles_are_steps() -> None:
    """What cannot be undone is for admins, looking at messages is more than looking at figures."""
    allowed = {
        role: {action for action in ("peek", "pause", "delete", "nonsense") if may(role, action)}
        for role in Role
    }
    assert allowed == {
        Role.NONE: set(),
        Role.VIEW: set(),
        Role.OPERATE: {"peek", "pause"},
        Role.ADMIN: {"peek", "pause", "delete"},
    }
