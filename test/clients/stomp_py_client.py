"""One scenario of the stomp.py tests: python stomp_py_client.py PORT SCENARIO. Prints `ok`, or fails with a trace."""

import queue
import sys

import stomp

PORT = int(sys.argv[1])
WAIT = 10


class Listener(stomp.ConnectionListener):
    def __init__(self):
        self.got = queue.Queue()
        self.receipts = queue.Queue()
        self.errors = queue.Queue()
        self.lost = False
        self.beats = queue.Queue()

    def on_message(self, frame):
        self.got.put(frame)

    def on_receipt(self, frame):
        self.receipts.put(frame.headers["receipt-id"])

    def on_error(self, frame):
        self.errors.put(frame)

    def on_heartbeat(self):
        self.beats.put(True)

    def on_disconnected(self):
        self.lost = True


class Client:
    def __init__(self, kind=stomp.Connection12, headers=None, **options):
        self.connection = kind([("127.0.0.1", PORT)], reconnect_attempts_max=1, **options)
        self.listener = Listener()
        self.connection.set_listener("", self.listener)
        self.connection.connect(wait=True, headers=headers or {})
        self.count = 0

    def send(self, destination, body, **headers):
        self.count += 1
        receipt = f"r{self.count}"
        self.connection.send(destination, body, headers={"persistent": "true", "receipt": receipt, **headers})
        assert self.listener.receipts.get(timeout=WAIT) == receipt

    def take(self, count):
        return [self.listener.got.get(timeout=WAIT) for _ in range(count)]

    def end(self):
        self.connection.disconnect()


def bodies(frames):
    return [f.body for f in frames]


def versions():
    for kind in (stomp.Connection10, stomp.Connection11, stomp.Connection12):
        client = Client(kind)
        client.connection.subscribe("/queue/py.versions", id="1", ack="auto")
        for i in range(20):
            client.send("/queue/py.versions", str(i), number=str(i))
        got = client.take(20)
        assert bodies(got) == [str(i) for i in range(20)], bodies(got)
        assert [f.headers["number"] for f in got] == [str(i) for i in range(20)]
        client.end()


def individual():
    client = Client()
    for i in range(6):
        client.send("/queue/py.individual", str(i))
    client.connection.subscribe("/queue/py.individual", id="1", ack="client-individual")
    for frame in client.take(6):
        if int(frame.body) % 2 == 0:
            client.connection.ack(frame.headers["ack"])
    client.end()
    again = Client()
    again.connection.subscribe("/queue/py.individual", id="1", ack="auto")
    got = again.take(3)
    assert bodies(got) == ["1", "3", "5"], bodies(got)
    assert all(f.headers["redelivered"] == "true" for f in got)


def cumulative():
    client = Client(stomp.Connection11)
    for i in range(6):
        client.send("/queue/py.cumulative", str(i))
    client.connection.subscribe("/queue/py.cumulative", id="1", ack="client")
    for frame in client.take(6):
        if frame.body == "3":
            client.connection.ack(frame.headers["message-id"], "1")
    client.end()
    again = Client(stomp.Connection11)
    again.connection.subscribe("/queue/py.cumulative", id="1", ack="auto")
    assert bodies(again.take(2)) == ["4", "5"]


def nack():
    client = Client()
    client.send("/queue/py.nack", "again")
    client.connection.subscribe("/queue/py.nack", id="1", ack="client-individual")
    first = client.take(1)[0]
    client.connection.nack(first.headers["ack"])
    second = client.take(1)[0]
    assert second.headers["redelivered"] == "true"
    client.connection.ack(second.headers["ack"])


def durable():
    subscription = {"activemq.subscriptionName": "news"}
    first = Client(headers={"client-id": "py-durable"})
    first.connection.subscribe("/topic/py.news", id="1", ack="auto", headers={**subscription, "receipt": "s"})
    assert first.listener.receipts.get(timeout=WAIT) == "s"
    first.end()
    sender = Client()
    for i in range(3):
        sender.send("/topic/py.news", str(i))
    again = Client(headers={"client-id": "py-durable"})
    again.connection.subscribe("/topic/py.news", id="1", ack="auto", headers=subscription)
    assert bodies(again.take(3)) == ["0", "1", "2"]


def binary():
    client = Client(auto_decode=False)
    client.connection.subscribe("/queue/py.binary", id="1", ack="auto")
    body = bytes(range(256)) * 3
    client.send("/queue/py.binary", body)
    assert client.take(1)[0].body == body


def heartbeats():
    client = Client(heartbeats=(500, 500))
    for _ in range(4):
        client.listener.beats.get(timeout=WAIT)
    assert not client.listener.lost, "lost although it beats"
    client.send("/queue/py.alive", "x")


def transaction():
    client = Client()
    client.connection.subscribe("/queue/py.transaction", id="1", ack="client-individual")
    for commit in (False, True):
        name = client.connection.begin()
        for i in range(3):
            client.connection.send("/queue/py.transaction", f"{commit} {i}", transaction=name)
        if commit:
            client.connection.commit(name)
        else:
            client.connection.abort(name)
    messages = client.take(3)
    assert [message.body for message in messages] == ["True 0", "True 1", "True 2"], messages
    for end in ("abort", "commit"):
        name = client.connection.begin()
        for message in messages:
            client.connection.ack(message.headers["ack"], transaction=name)
        getattr(client.connection, end)(name)
    client.connection.disconnect()
    other = Client()
    other.connection.subscribe("/queue/py.transaction", id="1", ack="auto")
    other.send("/queue/py.transaction", "last")
    assert other.take(1)[0].body == "last"


if __name__ == "__main__":
    globals()[sys.argv[2]]()
    print("ok")
