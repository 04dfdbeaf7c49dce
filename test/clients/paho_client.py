"""One scenario of the paho tests: python paho_client.py PORT SCENARIO [websockets]. Prints `ok`, or fails with a trace."""

import queue
import sys
import threading

import paho.mqtt.client as mqtt

PORT = int(sys.argv[1])
TRANSPORT = sys.argv[3] if len(sys.argv) > 3 else "tcp"
WAIT = 10


class Client:
    def __init__(self, client_id="", clean=True, will=None, protocol=mqtt.MQTTv311, keepalive=60):
        self.got = queue.Queue()
        self.connected = threading.Event()
        self.closed = threading.Event()
        self.granted = queue.Queue()
        self.session = None
        self.code = None
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=clean, protocol=protocol, transport=TRANSPORT
        )
        if will:
            self.client.will_set(*will)
        self.client.on_connect = self._on_connect
        self.client.on_message = lambda _c, _u, m: self.got.put(m)
        self.client.on_subscribe = lambda _c, _u, _mid, codes, _p: self.granted.put([c.value for c in codes])
        self.client.on_disconnect = lambda *_: self.closed.set()
        self.client.max_inflight_messages_set(20)
        self.client.connect("127.0.0.1", PORT, keepalive)
        self.client.loop_start()
        assert self.connected.wait(WAIT), "no CONNACK"

    def _on_connect(self, _client, _data, flags, code, _properties):
        self.session = flags.session_present
        self.code = code
        self.connected.set()

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


globals()[sys.argv[2]]()
print("ok")
