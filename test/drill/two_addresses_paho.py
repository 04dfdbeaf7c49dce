# paho knows one address: the application takes the other one when a connection is lost or refused. Arguments: the MQTT ports of both nodes.
import sys
import time
import paho.mqtt.client as paho

ports = [int(each) for each in sys.argv[1:]]
client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="shop", clean_session=False)
client.on_message = lambda client, data, message: print("got", message.payload.decode(), flush=True)
client.on_connect = lambda client, data, flags, reason, properties: client.subscribe("orders/#", qos=1)
state = {"turn": 0}


def connect():
    while True:
        port = ports[state["turn"] % len(ports)]
        state["turn"] += 1
        try:
            client.connect("127.0.0.1", port, keepalive=5)
            return
        except OSError:
            time.sleep(0.1)


sent = {"before": False, "after": False}
connect()
begun = time.time()
connects = 1
while time.time() - begun < 30:
    # `loop` instead of `loop_start`: that one would try the same address again and again.
    if client.loop(timeout=0.1) != paho.MQTT_ERR_SUCCESS:
        connect()
        connects += 1
    name = "before" if connects == 1 else "after"
    if client.is_connected() and not sent[name]:
        sent[name] = True
        client.publish("orders/eu", name, qos=1)
