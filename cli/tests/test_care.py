"""Backups that can be trusted, and an epoch that only an operator begins."""

import json
import shutil
import tarfile
from pathlib import Path

import pytest

from cli.tests.up import Up, petit


@pytest.fixture(scope="module")
def rested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the data of an installation that has a message and does not run."""
    data = tmp_path_factory.mktemp("care") / "data"
    up = Up(data)
    for name in ("ada", "bob"):
        petit("login", name, data=data)
    assert petit("send", "--as", "ada", "@bob", "remember me", data=data).returncode == 0
    up.stop()
    return data


def streams(data: Path) -> Path:
    [folder] = (data / "nats" / "jetstream").rglob("streams")
    return folder


def log_finding(data: Path) -> dict[str, object]:
    lines = [json.loads(line) for line in petit("doctor", "--json", data=data).stdout.splitlines()]
    [finding] = [line for line in lines if line["part"] == "log"]
    return dict(finding)


def history(up: Up) -> str:
    petit("login", "bob", data=up.data)
    return petit("history", "--as", "bob", "@ada", data=up.data).stdout


@pytest.mark.timeout(120)
def test_what_was_backed_up_is_restored_as_the_next_epoch(rested: Path, tmp_path: Path) -> None:
    file, data = tmp_path / "backup.tgz", tmp_path / "data"

    backed_up = petit("backup", str(file), data=rested)
    restored = petit("restore", str(file), data=data)

    assert (backed_up.returncode, restored.returncode) == (0, 0), backed_up.stderr + restored.stderr
    assert file.stat().st_mode & 0o077 == 0
    assert "as epoch" in restored.stdout
    up = Up(data)
    assert "remember me" in history(up)
    up.stop()


@pytest.mark.timeout(120)
def test_a_read_model_that_was_thrown_away_is_folded_anew_to_the_same_digest(rested: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(rested, data)
    before = petit("doctor", "--digest", data=data).stdout
    shutil.rmtree(data / "chat")

    up = Up(data)
    history(up)
    up.stop()

    assert len(before.strip()) == 64
    assert petit("doctor", "--digest", data=data).stdout == before


@pytest.mark.parametrize("name", ["../outside", "/outside", "link"])
def test_a_backup_that_leads_out_of_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    file, data = tmp_path / "backup.tgz", tmp_path / "data"
    with tarfile.open(file, "w:gz") as archive:
        entry = tarfile.TarInfo(name)
        if name == "link":
            entry.type, entry.linkname = tarfile.SYMTYPE, str(tmp_path)
        archive.addfile(entry)

    refused = petit("restore", str(file), data=data)

    assert refused.returncode == 1
    assert f"{name!r} is no file of a backup" in refused.stderr
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "data") == ["backup.tgz"]


def test_a_backup_does_not_overwrite(rested: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("dear")

    refused = petit("backup", str(tmp_path / "file"), data=rested)

    assert refused.returncode == 1
    assert (tmp_path / "file").read_text() == "dear"


def test_a_restore_does_not_overwrite(rested: Path, tmp_path: Path) -> None:
    petit("backup", str(tmp_path / "backup.tgz"), data=rested)

    refused = petit("restore", str(tmp_path / "backup.tgz"), data=rested)

    assert refused.returncode == 1
    assert "move it away" in refused.stderr


@pytest.mark.parametrize("harm", ["cut", "altered", "missing"])
def test_a_damaged_backup_is_refused_before_anything_is_touched(rested: Path, tmp_path: Path, harm: str) -> None:
    file, data = tmp_path / "backup.tgz", tmp_path / "data"
    petit("backup", str(file), data=rested)
    whole = file.read_bytes()
    match harm:
        case "cut":
            file.write_bytes(whole[: len(whole) // 2])
        case "altered":
            middle = len(whole) // 2
            file.write_bytes(whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :])
        case _:
            file.unlink()

    refused = petit("restore", str(file), data=data)

    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    assert sorted(path.name for path in data.iterdir()) == ["lock"]


@pytest.mark.timeout(180)
def test_a_lost_log_stops_up_until_the_operator_begins_a_new_epoch(rested: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(rested, data)
    shutil.rmtree(streams(data) / "SIGNALS")

    refused = petit("up", "--port", "0", data=data)
    finding = log_finding(data)
    repaired = petit("doctor", "--new-epoch", data=data)

    assert refused.returncode == 1
    assert "doctor --new-epoch" in refused.stderr
    assert not finding["well"]
    assert repaired.returncode == 0, repaired.stderr
    assert "epoch 2" in repaired.stdout
    up = Up(data)
    assert "remember me" in history(up)
    up.stop()


@pytest.mark.timeout(180)
def test_a_damaged_entry_is_found_and_what_is_begun_anew_is_counted_and_set_aside(rested: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(rested, data)
    shutil.rmtree(data / "chat")
    [block] = [file for file in (streams(data) / "SIGNALS" / "msgs").glob("*.blk") if file.stat().st_size]
    entries = bytearray(block.read_bytes())
    entries[len(entries) // 2] ^= 0xFF
    block.write_bytes(entries)

    finding = log_finding(data)
    repaired = petit("doctor", "--new-epoch", data=data)

    assert not finding["well"]
    assert "petit restore" in str(finding["says"])
    assert "doctor --new-epoch" in str(finding["says"])
    assert repaired.returncode == 0, repaired.stderr
    assert "were not folded" in repaired.stdout
    [aside] = (data / "nats").glob("jetstream.old-*")
    assert str(aside) in repaired.stdout
    assert (aside / block.relative_to(data / "nats" / "jetstream")).read_bytes() == entries
    Up(data).stop()


def test_a_log_that_is_well_is_not_begun_anew(rested: Path) -> None:
    refused = petit("doctor", "--new-epoch", data=rested)

    assert refused.returncode == 1
    assert "nothing was done" in refused.stderr
    assert log_finding(rested)["well"]


@pytest.mark.timeout(120)
def test_an_epoch_is_never_used_twice_even_if_the_log_forgets_which_there_were(rested: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(rested, data)
    epochs = []
    for _ in range(2):
        shutil.rmtree(data / "nats")
        finding = log_finding(data)
        repaired = petit("doctor", "--new-epoch", data=data)
        assert repaired.returncode == 0, repaired.stderr
        assert not finding["well"]
        epochs.append(repaired.stdout.partition("begins anew: epoch ")[2].partition(",")[0])

    assert epochs == ["2", "3"]


@pytest.mark.timeout(120)
def test_a_new_epoch_that_was_interrupted_is_finished(rested: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(rested, data)
    shutil.rmtree(data / "nats")
    old = tmp_path / "old"
    shutil.copytree(data / "chat", old)
    petit("doctor", "--new-epoch", data=data)
    shutil.rmtree(data / "chat")
    shutil.copytree(old, data / "chat")  # as if it had ended between the log and the read model

    repaired = petit("doctor", "--new-epoch", data=data)

    assert repaired.returncode == 0, repaired.stderr
    up = Up(data)
    assert "remember me" in history(up)
    up.stop()


@pytest.mark.timeout(120)
def test_a_log_of_another_installation_is_not_thrown_away(rested: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(rested, data)
    old = tmp_path / "old"
    shutil.copytree(data / "chat", old)
    shutil.rmtree(data / "nats")
    petit("doctor", "--new-epoch", data=data)
    up = Up(data)
    petit("login", "ada", data=data)
    petit("send", "--as", "ada", "@bob", "of the new epoch", data=data)
    up.stop()
    shutil.rmtree(data / "chat")
    shutil.copytree(old, data / "chat")

    refused = petit("doctor", "--new-epoch", data=data)

    assert refused.returncode == 1
    assert "not of one installation" in refused.stderr
