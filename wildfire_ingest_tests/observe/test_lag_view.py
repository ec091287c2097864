"""A source's lag is the worst of its topics; what is not known is said."""

import json
import time

import pytest

from wildfire_ingest.config.loader import load
from wildfire_ingest.observe.lag_view import NO_GROUPS, Lags, LagView, worst
from wildfire_ingest.observe.topics_of import topics_of


@pytest.fixture
def config(tmp_path):
    data = {
        "kafka": {"bootstrap_servers": "127.0.0.1:1"},
        "topics": {"fires": {}, "alerts": {}, "own": {}},
        "topic_rules": {"content": [{"field": "frp_mw", "exists": True, "topic": "alerts"}]},
        "custom_topic_mappings": {"mapped": "own"},
        "throttling": {"consumer_groups": {"fires": ["dashboard"]}},
        "sources": {
            name: {
                "source_type": "nasa_firms",
                "topic": "fires",
                "custom_params": {"feed": "static", "product": "MODIS_NRT"},
            }
            for name in ("ruled", "mapped")
        },
    }
    path = tmp_path / "stream_config.json"
    path.write_text(json.dumps(data))
    return load(path, environ={}).config


def test_a_source_may_write_to_its_own_topic_and_where_a_content_rule_leads(config):
    assert topics_of(config, "ruled") == ("fires", "alerts")
    assert topics_of(config, "mapped") == ("own",)


@pytest.mark.parametrize(
    ("known", "why", "found"),
    [
        ({"fires": 3, "alerts": 7, "others": 99}, {}, LagView(7)),
        ({"fires": 0}, {}, LagView(0)),
        ({"fires": 3, "alerts": None}, {"alerts": "no answer"}, LagView(None, "alerts: no answer")),
        ({"others": 5}, {}, LagView(None, NO_GROUPS)),
    ],
)
def test_the_lag_is_that_of_the_worst_topic_and_never_a_guess(known, why, found):
    assert worst(("fires", "alerts"), known, why) == found


def test_a_broker_that_is_away_is_told_within_seconds(config):
    lags = Lags(config)
    before = time.monotonic()

    found = lags.read()

    assert time.monotonic() - before < 5
    assert found["ruled"].records is None
    assert "fires: no list of topics" in found["ruled"].why_unknown
    assert found["mapped"] == LagView(None, NO_GROUPS)
