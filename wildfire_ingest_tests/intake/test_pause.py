"""A pause outlives processes and is never overlooked."""

from wildfire_ingest.intake import pause as pauses


def test_a_paused_source_is_paused_until_it_is_resumed(tmp_path):
    pauses.pause(tmp_path, "firms", "broker upgrade", 7)

    assert pauses.paused(tmp_path, "firms") == pauses.Pause(7, "broker upgrade")
    assert pauses.paused(tmp_path, "other") is None
    assert pauses.resume(tmp_path, "firms")
    assert pauses.paused(tmp_path, "firms") is None
    assert not pauses.resume(tmp_path, "firms")


def test_a_second_pause_keeps_the_first_reason(tmp_path):
    pauses.pause(tmp_path, "firms", "first", 1)

    assert pauses.pause(tmp_path, "firms", "second", 2) == pauses.Pause(1, "first")


def test_a_damaged_mark_still_pauses(tmp_path):
    (tmp_path / "firms.paused").write_bytes(b"\x00 not JSON")

    assert pauses.paused(tmp_path, "firms") is not None


def test_a_mark_of_an_impossible_time_still_pauses_and_can_be_shown(tmp_path):
    (tmp_path / "firms.paused").write_text('{"since_us": 999999999999999999999, "reason": "x"}')

    assert pauses.paused(tmp_path, "firms") == pauses.Pause(0)


def test_a_mark_that_is_a_link_is_not_followed_and_still_pauses(tmp_path):
    (tmp_path / "secret").write_text('{"since_us": 1, "reason": "secret"}')
    (tmp_path / "firms.paused").symlink_to(tmp_path / "secret")

    assert pauses.paused(tmp_path, "firms") == pauses.Pause(0)
