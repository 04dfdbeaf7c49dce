"""What queues and topics can do beyond sending and receiving, by stomp.py: python stomp_py_depth.py PORT SCENARIO. Prints `ok`, or fails with a trace."""

import queue
import sys
import time
import uuid

from stomp_py_client import WAIT, Client, bodies


def subscribe(client, destination, name="1", ack="auto", **headers):
    client.connection.subscribe(destination, id=name, ack=ack, headers={"receipt": f"s{name}", **headers})
    assert client.listener.receipts.get(timeout=WAIT) == f"s{name}"


def nothing(client):
    """Nothing more is on its way: what is sent to it now comes first."""
    fence = f"/queue/py.fence.{uuid.uuid4()}"
    subscribe(client, fence, name="fence")
    client.send(fence, "fence")
    got = client.take(1)[0]
    assert got.body == "fence", got.body


def selector():
    client = Client()
    for colour in ("red", "blue", "red"):
        client.send("/queue/py.selector", colour, colour=colour)
    subscribe(client, "/queue/py.selector", selector="colour = 'blue' OR JMSPriority > 8")
    assert bodies(client.take(1)) == ["blue"]
    client.send("/queue/py.selector", "urgent", priority="9")
    assert bodies(client.take(1)) == ["urgent"]
    nothing(client)


def browse():
    client = Client()
    for i in range(3):
        client.send("/queue/py.browse", str(i))
    for _ in range(2):
        subscribe(client, "/queue/py.browse", name="b", browser="true")
        messages = client.take(4)
        assert bodies(messages[:3]) == ["0", "1", "2"] and messages[3].headers["browser"] == "end", messages
        client.connection.unsubscribe(id="b")


def sharing():
    """Message priority, groups, exclusive subscriptions, priority of subscriptions."""
    sender = Client()
    for priority in ("4", "9", "0"):
        sender.send("/queue/py.ranked", priority, priority=priority)
    subscribe(sender, "/queue/py.ranked")
    assert bodies(sender.take(3)) == ["9", "4", "0"]

    one, two = Client(), Client()
    for client in (one, two):
        subscribe(client, "/queue/py.groups", **{"activemq.prefetchSize": "10"})
    for i in range(3):
        for group in ("a", "b"):
            sender.send("/queue/py.groups", f"{group}{i}", JMSXGroupID=group)
    got = sorted([bodies(one.take(3)), bodies(two.take(3))])
    assert got == [["a0", "a1", "a2"], ["b0", "b1", "b2"]], got

    subscribe(one, "/queue/py.exclusive", name="e", **{"activemq.exclusive": "true"})
    subscribe(two, "/queue/py.exclusive", name="e", **{"activemq.exclusive": "true"})
    for i in range(2):
        sender.send("/queue/py.exclusive", str(i))
    assert bodies(one.take(2)) == ["0", "1"]
    nothing(two)
    one.end()
    sender.send("/queue/py.exclusive", "2")
    assert bodies(two.take(1)) == ["2"]

    low, high = Client(), Client()
    subscribe(low, "/queue/py.preferred")
    subscribe(high, "/queue/py.preferred", **{"activemq.priority": "5"})
    for i in range(3):
        sender.send("/queue/py.preferred", str(i))
    assert bodies(high.take(3)) == ["0", "1", "2"]
    nothing(low)


def schedule():
    """Later, and again and again; in a transaction that is committed, and in one that is not."""
    client = Client()
    subscribe(client, "/queue/py.schedule")
    began = time.monotonic()
    client.send("/queue/py.schedule", "later", AMQ_SCHEDULED_DELAY="400")
    client.send("/queue/py.schedule", "now")
    assert bodies(client.take(2)) == ["now", "later"]
    assert time.monotonic() - began >= 0.39
    again = {"AMQ_SCHEDULED_DELAY": "100", "AMQ_SCHEDULED_PERIOD": "100", "AMQ_SCHEDULED_REPEAT": "2"}
    for end in ("abort", "commit"):
        name = client.connection.begin()
        client.connection.send("/queue/py.schedule", end, transaction=name, headers=again)
        getattr(client.connection, end)(name)
    assert bodies(client.take(3)) == ["commit"] * 3
    nothing(client)


def temporary():
    asks, answers = Client(), Client()
    subscribe(asks, "/temp-queue/replies")
    asks.send("/queue/py.questions", "what?", **{"reply-to": "/temp-queue/replies", "correlation-id": "7"})
    subscribe(answers, "/queue/py.questions")
    question = answers.take(1)[0]
    answers.send(question.headers["reply-to"], "that", **{"correlation-id": question.headers["correlation-id"]})
    answer = asks.take(1)[0]
    assert (answer.body, answer.headers["correlation-id"]) == ("that", "7")
    answers.connection.subscribe(question.headers["reply-to"], id="thief")
    assert "belongs to another client" in str(answers.listener.errors.get(timeout=WAIT).body)


def routing():
    """Lists, wildcards on queues, virtual topics, by name and by wildcard."""
    client = Client()
    subscribe(client, "/queue/py.list.>", name="w")
    client.send("/queue/py.list.a,/queue/py.list.b", "both")
    assert sorted(m.headers["destination"] for m in client.take(2)) == ["/queue/py.list.a", "/queue/py.list.b"]
    one, other, every = Client(), Client(), Client()
    for shared in (one, other):
        subscribe(shared, "/queue/Consumer.pyone.VirtualTopic.py.a", **{"activemq.prefetchSize": "1"}, ack="client")
    subscribe(every, "/queue/Consumer.pyall.VirtualTopic.py.>")
    for i in range(2):
        client.send("/topic/VirtualTopic.py.a", str(i))
    client.send("/topic/VirtualTopic.py.b", "b")
    assert sorted(bodies(one.take(1) + other.take(1))) == ["0", "1"]
    assert bodies(every.take(3)) == ["0", "1", "b"]
    every.end()
    client.send("/topic/VirtualTopic.py.c", "away")
    back = Client()
    subscribe(back, "/queue/Consumer.pyall.VirtualTopic.py.>")
    assert bodies(back.take(1)) == ["away"]


def retroactive():
    client = Client()
    client.send("/topic/py.kept", "kept", **{"ActiveMQ.Retain": "true"})
    subscribe(client, "/topic/py.>", name="r", **{"activemq.retroactive": "true"})
    assert bodies(client.take(1)) == ["kept"]
    subscribe(client, "/topic/py.kept", name="p")
    nothing(client)


def dead():
    """Refused too often it is a dead letter that says where it came from."""
    client = Client()
    client.send("/queue/py.dead", "x", mine="1")
    subscribe(client, "/queue/py.dead", ack="client-individual")
    while True:
        try:
            frame = client.listener.got.get(timeout=1)
        except queue.Empty:
            break
        client.connection.nack(frame.headers["ack"])
    subscribe(client, "/queue/ActiveMQ.DLQ", name="dlq", selector="mine = '1'")
    letter = client.take(1)[0]
    assert letter.headers["original-destination"] == "/queue/py.dead" and "failed" in letter.headers["dlqDeliveryFailureCause"], letter.headers


globals()[sys.argv[2]]()
print("ok")
