"""What a weather alert is: one message about one event, as NWS sent it.

Pure.  Times are UTC.  An update or a cancellation is a message of its own with an id of its own;
`event_key` says which event it is about.
Source: CAP 1.2, https://api.weather.gov/openapi.json, https://alerts.weather.gov.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from wildfire_ingest.record import Body
from wildfire_ingest.sources.geojson_geometry import Geometry
from wildfire_ingest.sources.utc_time import Moment
from wildfire_ingest.sources.vtec import Vtec

EndsFrom = Literal["ends", "vtec", "expires"]
Words = tuple[str, ...]


class WeatherAlert(Body, frozen=True, gc=False, omit_defaults=True):
    """One message of the National Weather Service about a hazard."""

    record_type = "weather_alert"
    schema_version = 1

    alert_id: Annotated[
        str, Meta(description="NWS's id of this message; its content never changes.")
    ]
    event: Annotated[str, Meta(description="What it is about, e.g. Red Flag Warning.")]
    event_key: Annotated[
        str,
        Meta(
            description="The same for every message about one event, and the Kafka key: VTEC"
            " office.phenomenon.significance.number.year, or the id of the event's first message."
        ),
    ]
    sent: Annotated[Moment, Meta(description="When NWS sent it; also observed_at.")]
    status: Annotated[str | None, Meta(description="Actual; tests and exercises are left out.")] = (
        None
    )
    message_type: Annotated[
        str | None, Meta(description="Alert, Update or Cancel; Ack and Error are possible.")
    ] = None
    severity: Annotated[
        str | None, Meta(description="Extreme, Severe, Moderate, Minor or Unknown.")
    ] = None
    certainty: Annotated[
        str | None, Meta(description="Observed, Likely, Possible, Unlikely or Unknown.")
    ] = None
    urgency: Annotated[
        str | None, Meta(description="Immediate, Expected, Future, Past or Unknown.")
    ] = None
    category: Annotated[str | None, Meta(description="Met, Fire, Safety, Env …")] = None
    response: Annotated[
        str | None, Meta(description="What to do: Evacuate, Prepare, Avoid, Monitor, AllClear …")
    ] = None
    event_code: Annotated[
        str | None, Meta(description="NWS's code of the event: FWW Red Flag Warning, EVI …")
    ] = None
    vtec: Annotated[
        tuple[Vtec, ...], Meta(description="The event codes; the first one makes event_key.")
    ] = ()
    references: Annotated[
        Words, Meta(description="Ids of the messages that this one updates or cancels.")
    ] = ()
    expired_references: Annotated[
        Words, Meta(description="Ids of earlier messages about the event that expired before.")
    ] = ()
    effective: Annotated[Moment | None, Meta(description="When the message takes effect.")] = None
    onset: Annotated[Moment | None, Meta(description="When the event is expected to begin.")] = None
    expires: Annotated[
        Moment | None, Meta(description="When the message goes stale; the event may go on.")
    ] = None
    ends: Annotated[Moment | None, Meta(description="When the event ends, where NWS says it.")] = (
        None
    )
    ends_at: Annotated[
        Moment | None, Meta(description="The best known end of the event; ends_from says whence.")
    ] = None
    ends_from: Annotated[
        EndsFrom | None,
        Meta(
            description="Where ends_at is from. `expires`: no end is known, and an event with VTEC"
            " then lasts until further notice."
        ),
    ] = None
    headline: Annotated[str | None, Meta(description="One line.")] = None
    nws_headline: Annotated[str | None, Meta(description="The forecaster's own headline.")] = None
    description: Annotated[str | None, Meta(description="The hazard, in words.")] = None
    instruction: Annotated[str | None, Meta(description="What people should do.")] = None
    note: Annotated[str | None, Meta(description="A remark of NWS about the message.")] = None
    area_desc: Annotated[str | None, Meta(description="Names of the places.")] = None
    ugc: Annotated[Words, Meta(description="Zones and counties, e.g. CAZ041, CAC067.")] = ()
    same: Annotated[Words, Meta(description="SAME codes of counties, six digits.")] = ()
    zones: Annotated[
        Words,
        Meta(description="Kind and id: fire/CAZ216, forecast/CAZ016, county/CAC067."),
    ] = ()
    geometry: Annotated[
        Geometry | None, Meta(description="The area; absent from most: then zones say where.")
    ] = None
    sender: Annotated[str | None, Meta(description="Address of the sender.")] = None
    sender_name: Annotated[str | None, Meta(description="The office, e.g. NWS Sacramento CA.")] = (
        None
    )
    awips_id: Annotated[str | None, Meta(description="Product id, e.g. RFWSTO.")] = None
    unreadable: Annotated[
        Words,
        Meta(description="Fields left out because the answer had them in no readable form."),
    ] = ()
