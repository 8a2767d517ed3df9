"""Messages of a sender in another order, and streams that a sender gives up."""

from .hostile import lie, verdict
from .lies_sender import complete, pour
from .wire import PAYLOAD, data_head


@lie("messages in another order: disclosures, then the offer", "fault")
async def reordered(field):
    exchange, session = field.seal(), await field.line()
    stream = session.link.open()
    stream.say("disclosures", exchange.disclosures)
    stream.say("offer", exchange.dispatch.raw)
    return await verdict(stream)


@lie("messages in another order: the payload long before the offer", "consigned")
async def payload_first(field):
    exchange, session = field.seal(), await field.line()
    pour(session, exchange)
    await session.link.ping()
    stream = session.link.open()
    stream.say("offer", exchange.dispatch.raw)
    stream.say("disclosures", exchange.disclosures)
    return await verdict(stream)


def given_up(what, until, action):
    """Registers a sender that gives its stream up in some phase; the same offer must be taken on a new connection."""

    async def told(field):
        exchange = field.seal(3 << 20)
        session = await field.line()
        stream = session.link.open()
        stream.say("offer", exchange.dispatch.raw)
        if until != "offer":
            stream.say("disclosures", exchange.disclosures)
            pour(session, exchange, None)
            await stream.hear()
        if until == "half a segment":
            half = session.link.open(True)
            half.write(data_head(PAYLOAD, exchange.xid, 0) + exchange.payload.read_bytes()[:500000])
            await session.link.ping()
            half.reset(9)
        action(stream)
        await session.link.ping()
        exchange.sessions.append(session.ses)
        await complete(field, exchange)
        return "served"

    lie(f"{what} by the sender after {until}", "served")(told)


for phase in ("offer", "accept", "half a segment"):
    given_up("RESET", phase, lambda stream: stream.reset(7))
    given_up("STOP_SENDING", phase, lambda stream: stream.stop(7))
