# stomp.py with two addresses: sends "before", is killed off its node, and goes on with the other. Arguments: the STOMP ports of both nodes.
import sys
import threading
import time
import stomp

ports = [int(each) for each in sys.argv[1:]]
lost = threading.Event()


class Listener(stomp.ConnectionListener):
    def __init__(self, connection):
        self.connection = connection

    def on_message(self, frame):
        print("got", frame.body, flush=True)
        self.connection.ack(frame.headers["ack"])

    def on_disconnected(self):
        lost.set()


def connect():
    # Each try takes every address once. While a takeover lasts none answers: try until one has. A connection that was lost is not used again.
    while True:
        connection = stomp.Connection12([("127.0.0.1", port) for port in ports], heartbeats=(5000, 5000), reconnect_attempts_max=1)
        connection.set_listener("", Listener(connection))
        try:
            connection.connect(wait=True)
            lost.clear()
            connection.subscribe("/queue/orders", id="1", ack="client-individual")
            return connection
        except (stomp.exception.StompException, OSError):  # An address that died after it accepted is a broken pipe.
            time.sleep(0.1)


connection = connect()
connection.send("/queue/orders", "before", headers={"persistent": "true"})
lost.wait()
connection = connect()
connection.send("/queue/orders", "after", headers={"persistent": "true"})
time.sleep(30)
