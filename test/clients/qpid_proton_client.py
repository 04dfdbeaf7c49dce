"""One scenario of the qpid-proton tests: python qpid_proton_client.py PORT SCENARIO. Prints `ok`, or fails with a trace."""

import sys
import time
import uuid

from proton import Delivery, Message, symbol, ulong
from proton.handlers import MessagingHandler, TransactionHandler
from proton.reactor import AtMostOnce, Container, Copy, DurableSubscription, LinkOption, Selector
from proton.utils import BlockingConnection, LinkDetached, SendException

PORT = int(sys.argv[1])
WAIT = 10
CREDIT = 50


def connect(**options):
    return BlockingConnection(f"amqp://127.0.0.1:{PORT}", timeout=WAIT, **options)


def login():
    for options in ({"sasl_enabled": False}, {"allowed_mechs": "ANONYMOUS"}, {"user": "me", "password": "secret", "allowed_mechs": "PLAIN", "allow_insecure_mechs": True}):
        connection = connect(**options)
        sender = connection.create_sender("proton.login")
        sender.send(Message(body="x", durable=True))
        connection.close()


def bodies():
    connection = connect()
    sender = connection.create_sender("proton.bodies")
    receiver = connection.create_receiver("proton.bodies", credit=CREDIT)
    for body in ("grün 😀", b"\x00\xff", {"a": 1, "b": [True, None]}, [1, "two", 3.5], None, 7, ulong(2**63), uuid.uuid4(), symbol("s")):
        sent = Message(body=body, durable=True, properties={"n": 5, "s": "x"}, subject="sub", correlation_id="c", annotations={symbol("x-opt-mine"): "m"})
        sender.send(sent)
        got = receiver.receive()
        assert got.body == body, (got.body, body)
        assert got.properties == {"n": 5, "s": "x"} and got.subject == "sub" and got.correlation_id == "c"
        assert got.annotations == {symbol("x-opt-mine"): "m"} and got.durable
        receiver.accept()
    connection.close()


def outcomes():
    connection = connect()
    connection.create_sender("proton.outcomes").send(Message(body="x", durable=True))
    receiver = connection.create_receiver("proton.outcomes", credit=1)
    first = receiver.receive()
    assert first.delivery_count == 0 and first.first_acquirer
    receiver.release(delivered=False)
    receiver.flow(1)
    second = receiver.receive()
    assert second.delivery_count == 0 and not second.first_acquirer
    delivery = receiver.fetcher.unsettled.popleft()
    delivery.local.failed = True
    delivery.update(Delivery.MODIFIED)
    delivery.settle()
    receiver.flow(1)
    third = receiver.receive()
    assert third.delivery_count == 1
    receiver.reject()
    dead = connection.create_receiver("ActiveMQ.DLQ", credit=1).receive()
    assert dead.body == "x" and dead.annotations[symbol("x-opt-ORIG-QUEUE")] == "proton.outcomes"
    connection.close()


def order():
    connection = connect()
    sender = connection.create_sender("proton.order")
    receiver = connection.create_receiver("proton.order", credit=CREDIT)
    for i in range(500):
        sender.send(Message(body=i, durable=True))
    for i in range(500):
        assert receiver.receive().body == i
        receiver.accept()
    connection.close()


def large():
    connection = connect(max_frame_size=8192)
    body = bytes(range(256)) * 12000
    connection.create_sender("proton.large").send(Message(body=body, durable=True))
    receiver = connection.create_receiver("proton.large", credit=1)
    assert receiver.receive().body == body
    receiver.accept()
    connection.close()


def settled():
    connection = connect()
    receiver = connection.create_receiver("proton.settled", credit=CREDIT, options=AtMostOnce())
    sender = connection.create_sender("proton.settled", options=AtMostOnce())
    for i in range(10):
        sender.link.send(Message(body=i))
    for i in range(10):
        assert receiver.receive().body == i
    connection.close()


def topics():
    connection = connect()
    one = connection.create_receiver("topic://proton.t.*", credit=CREDIT)
    two = connection.create_receiver("topic://proton.>", credit=CREDIT)
    connection.create_sender("topic://proton.t.x").send(Message(body="hello"))
    for receiver in (one, two):
        assert receiver.receive().body == "hello"
        receiver.accept()
    connection.close()


class Topic(LinkOption):
    def apply(self, link):
        link.source.capabilities.put_object(symbol("topic"))

    def test(self, link):
        return link.is_receiver


def durable():
    first = connect(container_id="proton-durable")
    receiver = first.create_receiver("topic://proton.durable", credit=CREDIT, name="sub", options=[DurableSubscription(), Topic()])
    receiver.link.detach()
    first.close()
    other = connect()
    other.create_sender("topic://proton.durable").send(Message(body="kept", durable=True))
    again = connect(container_id="proton-durable")
    back = again.create_receiver("topic://proton.durable", credit=CREDIT, name="sub", options=[DurableSubscription(), Topic()])
    assert back.receive().body == "kept"
    back.accept()
    back.close()
    other.close()
    again.close()


def dynamic():
    connection = connect()
    receiver = connection.create_receiver(None, dynamic=True, credit=1)
    address = receiver.link.remote_source.address
    connection.create_sender(address).send(Message(body="reply"))
    assert receiver.receive().body == "reply"
    connection.close()


def relay():
    connection = connect()
    sender = connection.create_sender(None)
    for name in ("proton.relay.a", "proton.relay.b"):
        sender.send(Message(address=f"queue://{name}", body=name))
        assert connection.create_receiver(f"queue://{name}", credit=1).receive().body == name
    connection.close()


def refused(options, condition, word):
    connection = connect()
    try:
        connection.create_receiver("proton.refused", credit=1, options=options)
    except LinkDetached as error:
        assert error.condition == condition and word in str(error), error
    else:
        raise AssertionError("not refused")
    connection.create_sender("proton.refused").send(Message(body="goes on"))
    connection.close()


def selector():
    refused(Selector("x >"), "amqp:invalid-field", "the selector is wrong at character 4")
    connection = connect()
    receiver = connection.create_receiver("proton.selector", credit=CREDIT, options=Selector("x > 1 AND name = 'ü'"))
    sender = connection.create_sender("proton.selector")
    for x in range(4):
        sender.send(Message(body=x, properties={"x": x, "name": "ü"}))
    for expected in (2, 3):
        assert receiver.receive(timeout=WAIT).body == expected
        receiver.accept()
    connection.close()


def browse():
    connection = connect()
    sender = connection.create_sender("proton.browse")
    for number in range(3):
        sender.send(Message(body=number))
    for options in (Copy(), None):
        receiver = connection.create_receiver("proton.browse", credit=CREDIT, options=options)
        for expected in range(3):
            assert receiver.receive(timeout=WAIT).body == expected
            if options is None:
                receiver.accept()
        receiver.close()
    connection.close()


class Transacted(MessagingHandler, TransactionHandler):
    """Sends three messages and aborts, sends three and commits; then takes them: aborts, takes them again, commits."""

    def __init__(self):
        super().__init__(prefetch=0, auto_accept=False)
        self.log = []
        self.rounds = 0
        self.taken = 0

    def on_start(self, event):
        self.container = event.container
        self.connection = event.container.connect(f"amqp://127.0.0.1:{PORT}", reconnect=False)
        self.sender = event.container.create_sender(self.connection, "proton.transacted")
        self.receiver = None
        self.begun = False

    def on_sendable(self, event):
        # Before that proton keeps messages back, and a discharge would pass them.
        if event.sender == self.sender and not self.begun:
            self.begun = True
            self.declare()

    def declare(self):
        self.transaction = None
        self.container.declare_transaction(self.connection, handler=self)

    def on_transaction_declared(self, event):
        self.transaction = event.transaction
        if self.rounds < 2:
            for i in range(3):
                self.transaction.send(self.sender, Message(id=i, body=f"round {self.rounds} {i}", durable=True))
            self.end(self.rounds == 1)
        elif self.receiver is None:
            self.receiver = self.container.create_receiver(self.connection, "proton.transacted")
            self.receiver.flow(3)
        else:
            self.receiver.flow(3)

    def on_message(self, event):
        self.log.append((self.rounds, event.message.body, event.message.delivery_count))
        self.transaction.accept(event.delivery)
        self.taken += 1
        if self.taken == 3:
            self.taken = 0
            self.end(self.rounds == 3)

    def end(self, commit):
        if commit:
            self.transaction.commit()
        else:
            self.transaction.abort()

    def on_transaction_committed(self, event):
        self.ended("committed")

    def on_transaction_aborted(self, event):
        self.ended("aborted")

    def ended(self, how):
        self.log.append((self.rounds, how))
        self.rounds += 1
        if self.rounds == 4:
            self.connection.close()
        else:
            self.declare()

    def on_transaction_declare_failed(self, event):
        raise AssertionError("declare failed")

    def on_transaction_commit_failed(self, event):
        raise AssertionError("commit failed")


def transaction():
    handler = Transacted()
    Container(handler).run()
    ends = [entry[1] for entry in handler.log if len(entry) == 2]
    assert ends == ["aborted", "committed", "aborted", "committed"], handler.log
    for round in (2, 3):
        bodies = [entry[1] for entry in handler.log if len(entry) == 3 and entry[0] == round]
        assert bodies == ["round 1 0", "round 1 1", "round 1 2"], handler.log
    connection = connect()
    receiver = connection.create_receiver("proton.transacted", credit=1)
    try:
        receiver.receive(timeout=1)
    except Exception as error:
        assert "timed out" in str(error), error
    else:
        raise AssertionError("something was left")
    connection.close()


def heartbeats():
    connection = connect(heartbeat=1)
    sender = connection.create_sender("proton.beats")
    receiver = connection.create_receiver("proton.beats", credit=1)
    try:
        receiver.receive(timeout=3)
    except Exception as error:
        assert "timed out" in str(error), error
    sender.send(Message(body="still here"))
    assert receiver.receive().body == "still here"
    connection.close()


def drain():
    connection = connect()
    sender = connection.create_sender("proton.drain")
    for i in range(3):
        sender.send(Message(body=i))
    receiver = connection.create_receiver("proton.drain", credit=0)
    receiver.link.drain(10)
    connection.wait(lambda: receiver.link.credit == 0)
    assert len(receiver.fetcher.incoming) == 3, len(receiver.fetcher.incoming)
    connection.close()


def bad_address():
    connection = connect()
    sender = connection.create_sender(None)
    try:
        sender.send(Message(address="queue://a::b", body="x"))
    except SendException as error:
        assert error.state == Delivery.REJECTED, error.state
    else:
        raise AssertionError("not refused")
    connection.close()


def schedule():
    """Later, and again and again."""
    connection = connect()
    sender = connection.create_sender("proton.schedule")
    receiver = connection.create_receiver("proton.schedule", credit=CREDIT)
    began = time.monotonic()
    sender.send(Message(body="later", annotations={symbol("x-opt-delivery-delay"): 400}))
    sender.send(Message(body="now"))
    for expected in ("now", "later"):
        assert receiver.receive(timeout=WAIT).body == expected
        receiver.accept()
    assert time.monotonic() - began >= 0.39
    again = {symbol("x-opt-delivery-delay"): 100, symbol("x-opt-delivery-period"): 100, symbol("x-opt-delivery-repeat"): 2}
    sender.send(Message(body="tick", durable=True, annotations=again))
    for _ in range(3):
        assert receiver.receive(timeout=WAIT).body == "tick"
        receiver.accept()
    connection.close()


def sharing():
    """Message priority, groups, and a receiver that is alone."""
    connection = connect()
    sender = connection.create_sender("proton.ranked")
    for priority in (4, 9, 0):
        sender.send(Message(body=priority, priority=priority, durable=True))
    receiver = connection.create_receiver("proton.ranked", credit=CREDIT)
    for expected in (9, 4, 0):
        assert receiver.receive(timeout=WAIT).body == expected
        receiver.accept()
    one, two = (connection.create_receiver("proton.groups", credit=CREDIT, name=name) for name in ("one", "two"))
    sender = connection.create_sender("proton.groups")
    for i in range(3):
        for group in ("a", "b"):
            sender.send(Message(body=f"{group}{i}", group_id=group))
    got = sorted([r.receive(timeout=WAIT).body for _ in range(3)] for r in (one, two))
    assert got == [["a0", "a1", "a2"], ["b0", "b1", "b2"]], got
    alone = connection.create_receiver("proton.alone?consumer.exclusive=true", credit=CREDIT, name="alone")
    waits = connection.create_receiver("proton.alone?consumer.priority=9", credit=CREDIT, name="waits")
    connection.create_sender("proton.alone").send(Message(body="x"))
    assert alone.receive(timeout=WAIT).body == "x"
    alone.close()
    assert waits.receive(timeout=WAIT).body == "x"
    connection.close()


def routing():
    """Lists, wildcards on queues, virtual topics, by name and by wildcard; what a topic retains."""
    connection = connect()
    listed = connection.create_receiver("queue://proton.list.>", credit=CREDIT, name="listed")
    connection.create_sender("queue://proton.list.a,proton.list.b").send(Message(body="both"))
    for _ in range(2):
        assert listed.receive(timeout=WAIT).body == "both"
        listed.accept()
    both = connection.create_receiver("queue://proton.both.a,topic://proton.both.b", credit=CREDIT, name="both")
    for address in ("queue://proton.both.a", "topic://proton.both.b"):
        connection.create_sender(address).send(Message(body=address))
    assert {both.receive(timeout=WAIT).body for _ in range(2)} == {"queue://proton.both.a", "topic://proton.both.b"}
    every = connection.create_receiver("queue://Consumer.proton.VirtualTopic.proton.>", credit=CREDIT, name="every")
    for name in ("a", "b.c"):
        connection.create_sender(f"topic://VirtualTopic.proton.{name}").send(Message(body=name))
    for expected in ("a", "b.c"):
        assert every.receive(timeout=WAIT).body == expected
    connection.create_sender("topic://proton.kept").send(Message(body="kept", annotations={symbol("x-opt-retain"): True}))
    assert connection.create_receiver("topic://proton.kept?consumer.retroactive=true", credit=1, name="kept").receive(timeout=WAIT).body == "kept"
    connection.close()


SCENARIOS = {f.__name__: f for f in (login, bodies, outcomes, order, large, settled, topics, durable, dynamic, relay, selector, browse, transaction, heartbeats, drain, bad_address, schedule, sharing, routing)}

SCENARIOS[sys.argv[2]]()
print("ok")
