"""Whether a cluster answers, and which one it is: asked through an AdminClient that is kept."""

from __future__ import annotations

from confluent_kafka.admin import AdminClient

from wildfire_ingest.delivery import client_config
from wildfire_ingest.delivery.kafka_errors import mapped
from wildfire_ingest.delivery.settings import KafkaSettings
from wildfire_ingest.errors import BrokerUnavailable

_PROBE_S = 1.0
_QUERY_S = 10.0


class Cluster:
    """One cluster, asked from one thread at a time."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._admin: AdminClient | None = None

    def reachable(self) -> bool:
        """Whether it answers one metadata probe."""
        try:
            with mapped("asking for metadata"):
                self._client().list_topics(self._settings.offsets_topic, timeout=_PROBE_S)
        except BrokerUnavailable:
            return False
        return True

    def cluster_id(self) -> str:
        """The cluster's own name, to notice a replaced one."""
        with mapped("asking for the cluster's id"):
            return str(self._client().list_topics(timeout=_QUERY_S).cluster_id)

    def _client(self) -> AdminClient:
        if self._admin is None:
            self._admin = AdminClient(client_config.common(self._settings))
        return self._admin
