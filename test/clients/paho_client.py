"""One scenario of the paho tests: python paho_client.py PORT SCENARIO [websockets]. Prints `ok`, or fails with a trace."""

import queue
import sys
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

PORT = int(sys.argv[1])
TRANSPORT = sys.argv[3] if len(sys.argv) > 3 else "tcp"
WAIT = 10


class Client:
    def __init__(self, client_id="", clean=True, will=None, protocol=mqtt.MQTTv311, keepalive=60, properties=None, will_properties=None):
        self.got = queue.Queue()
        self.connected = threading.Event()
        self.closed = threading.Event()
        self.granted = queue.Queue()
        self.session = None
        self.code = None
        five = protocol == mqtt.MQTTv5
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if five else clean,
            protocol=protocol,
            transport=TRANSPORT,
        )
        if will:
            self.client.will_set(*will, properties=will_properties)
        self.client.on_connect = self._on_connect
        self.client.on_message = lambda _c, _u, m: self.got.put(m)
        self.client.on_subscribe = lambda _c, _u, _mid, codes, _p: self.granted.put([c.value for c in codes])
        self.client.on_disconnect = self._on_disconnect
        self.client.max_inflight_messages_set(20)
        if five:
            self.client.connect("127.0.0.1", PORT, keepalive, clean_start=clean, properties=properties)
        else:
            self.client.connect("127.0.0.1", PORT, keepalive)
        self.client.loop_start()
        assert self.connected.wait(WAIT), "no CONNACK"

    def _on_connect(self, _client, _data, flags, code, properties):
        self.session = flags.session_present
        self.code = code
        self.told = properties
        self.connected.set()

    def _on_disconnect(self, _client, _data, _flags, code, _properties):
        self.farewell = code
        self.closed.set()

    def subscribe(self, *filters):
        self.client.subscribe(list(filters))
        return self.granted.get(timeout=WAIT)

    def publish(self, topic, body, qos=0, retain=False):
        self.client.publish(topic, body, qos, retain).wait_for_publish(WAIT)

    def take(self, count):
        return [self.got.get(timeout=WAIT) for _ in range(count)]

    def end(self):
        self.client.disconnect()
        self.client.loop_stop()

    def die(self):
        """No DISCONNECT: the socket just goes."""
        self.client.on_disconnect = None
        self.client.loop_stop()
        self.client._sock_close()


def bodies(messages):
    return [m.payload.decode() for m in messages]


def qos(level):
    client = Client()
    assert client.subscribe((f"py/qos{level}", level)) == [level]
    waits = [client.client.publish(f"py/qos{level}", str(i), level) for i in range(100)]
    for wait in waits:
        wait.wait_for_publish(WAIT)
    got = client.take(100)
    assert bodies(got) == [str(i) for i in range(100)], bodies(got)
    assert all(m.qos == level and not m.retain for m in got)
    client.end()


def qos0():
    qos(0)


def qos1():
    qos(1)


def qos2():
    qos(2)


def retained():
    client = Client()
    client.publish("py/kept", "hello", 1, True)
    late = Client()
    late.subscribe(("py/kept", 1))
    message = late.take(1)[0]
    assert message.retain and message.payload == b"hello"
    client.publish("py/kept", b"", 1, True)
    later = Client()
    later.subscribe(("py/kept", 1), ("py/after", 1))
    client.publish("py/after", "x", 1)
    assert later.take(1)[0].topic == "py/after"


def will():
    watcher = Client()
    watcher.subscribe(("py/will/#", 1))
    polite = Client(will=("py/will/polite", "gone", 1, False))
    polite.end()
    dying = Client(will=("py/will/dying", "gone", 1, False))
    dying.die()
    assert watcher.take(1)[0].topic == "py/will/dying"


def session():
    first = Client("py-kept", clean=False)
    assert not first.session
    first.subscribe(("py/away", 2))
    first.end()
    sender = Client()
    for i in range(20):
        sender.publish("py/away", str(i), 1 + i % 2)
    again = Client("py-kept", clean=False)
    assert again.session
    got = again.take(20)
    # The library passes QoS 2 on when PUBREL comes, so that order holds within one QoS only.
    for level in (1, 2):
        mine = [m.payload.decode() for m in got if m.qos == level]
        assert mine == [str(i) for i in range(20) if 1 + i % 2 == level], mine
    again.end()
    assert not Client("py-kept", clean=True).session


def takeover():
    first = Client("py-twice")
    Client("py-twice")
    assert first.closed.wait(WAIT)


def old():
    client = Client("py-31", protocol=mqtt.MQTTv31)
    client.subscribe(("py/31", 2))
    client.publish("py/31", "old", 2)
    client.take(1)


def keepalive():
    client = Client(keepalive=1)
    assert not client.closed.wait(4), "disconnected although it pings"
    client.subscribe(("py/alive", 1))
    client.publish("py/alive", "x", 1)
    client.take(1)


def properties_of(packet, **values):
    properties = Properties(packet)
    for name, value in values.items():
        setattr(properties, name, value)
    return properties


def five():
    client = Client("py-five", protocol=mqtt.MQTTv5)
    options = SubscribeOptions(qos=2, retainAsPublished=True)
    client.client.subscribe([("py/five/#", options)], properties=properties_of(PacketTypes.SUBSCRIBE, SubscriptionIdentifier=7))
    assert client.granted.get(timeout=WAIT) == [2]
    sent = properties_of(
        PacketTypes.PUBLISH,
        PayloadFormatIndicator=1,
        MessageExpiryInterval=60,
        ContentType="text/plain",
        ResponseTopic="py/answers",
        CorrelationData=b"\x00\xff",
        UserProperty=[("b", "1"), ("a", "2"), ("b", "3")],
    )
    for level in (0, 1, 2):
        info = client.client.publish("py/five/x", "hello", level, True, properties=sent)
        info.wait_for_publish(WAIT)
        message = client.take(1)[0]
        got = message.properties
        assert message.retain and message.qos == level
        assert got.UserProperty == [("b", "1"), ("a", "2"), ("b", "3")], got
        assert (got.ContentType, got.ResponseTopic, got.CorrelationData) == ("text/plain", "py/answers", b"\x00\xff")
        assert got.PayloadFormatIndicator == 1 and got.SubscriptionIdentifier == [7] and 58 <= got.MessageExpiryInterval <= 60
    client.publish("py/five/x", b"", 1, True)
    client.end()


def five_session():
    keep = properties_of(PacketTypes.CONNECT, SessionExpiryInterval=600, ReceiveMaximum=3)
    first = Client("py-five-kept", protocol=mqtt.MQTTv5, properties=keep)
    assert not first.session
    first.subscribe(("py/five-away", 1))
    first.end()
    sender = Client(protocol=mqtt.MQTTv5)
    assert sender.told.AssignedClientIdentifier
    for i in range(20):
        sender.publish("py/five-away", str(i), 1)
    again = Client("py-five-kept", clean=False, protocol=mqtt.MQTTv5, properties=keep)
    assert again.session
    assert bodies(again.take(20)) == [str(i) for i in range(20)]
    Client("py-five-kept", clean=False, protocol=mqtt.MQTTv5)
    assert again.closed.wait(WAIT)
    assert again.farewell.value == 0x8E, again.farewell


def five_will():
    watcher = Client()
    watcher.subscribe(("py/five-will", 1))
    newer = Client(protocol=mqtt.MQTTv5)
    newer.subscribe(("py/five-will", 1))
    told = properties_of(PacketTypes.WILLMESSAGE, WillDelayInterval=600, ContentType="x/y", UserProperty=("a", "b"))
    dying = Client(will=("py/five-will", "gone", 1, False), will_properties=told, protocol=mqtt.MQTTv5)
    dying.die()
    # A session that is not kept ends with its connection, and its will goes then.
    assert watcher.take(1)[0].payload == b"gone"
    got = newer.take(1)[0].properties
    assert got.ContentType == "x/y" and got.UserProperty == [("a", "b")]


def shared():
    """A group's members share; by each version. Members of MQTT 5 have message groups too, and delays."""
    for protocol in (mqtt.MQTTv311, mqtt.MQTTv5):
        members = [Client(f"py-shared-{protocol}-{i}", protocol=protocol) for i in range(2)]
        for member in members:
            member.subscribe(("$share/py/py/shared", 1))
        for i in range(10):
            members[0].publish("py/shared", str(i), 1)
        got = sorted(bodies(members[0].take(5) + members[1].take(5)))
        assert got == [str(i) for i in range(10)], got
        if protocol == mqtt.MQTTv5:
            for i in range(6):
                group = properties_of(PacketTypes.PUBLISH, UserProperty=[("JMSXGroupID", "ab"[i % 2])])
                members[0].client.publish("py/shared", f"{'ab'[i % 2]}{i}", 1, properties=group).wait_for_publish(WAIT)
            mine = sorted([bodies(member.take(3)) for member in members])
            assert mine == [["a0", "a2", "a4"], ["b1", "b3", "b5"]], mine
            later = properties_of(PacketTypes.PUBLISH, UserProperty=[("AMQ_SCHEDULED_DELAY", "400")])
            watcher = Client("py-delay", protocol=protocol)
            watcher.subscribe(("py/delay", 1))
            for body, properties in (("later", later), ("now", None)):
                watcher.client.publish("py/delay", body, 1, properties=properties).wait_for_publish(WAIT)
            assert bodies(watcher.take(2)) == ["now", "later"]
        for member in members:
            member.end()


globals()[sys.argv[2]]()
print("ok")
