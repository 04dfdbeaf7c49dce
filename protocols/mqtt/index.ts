// The MQTT front end: 3.1, 3.1.1 and 5. README.md has the mapping, the life cycles and the known limits.
import type { Broker, Connection, FrontEnd, Log, Protocol, Wire } from '../../src/api.ts'
import { ruleIn } from '../shared/losses.ts'
import { Topics } from './address.ts'
import { Choice } from './aedes/choice.ts'
import { MqttConnection } from './connection.ts'
import { describe } from './describe.ts'
import { describeFive } from './describe-five.ts'
import { dialect } from './format.ts'
import { dialectFive } from './format-five.ts'
import type { Front } from './front.ts'
import { losses } from './losses.ts'
import { lossesFive } from './losses-five.ts'
import { PublishWriter } from './publish-writer.ts'
import { defaults, type MqttSettings, schema } from './settings.ts'
import { publishSys } from './sys.ts'

const mqtt: Protocol = {
  name: 'mqtt',
  port: 1883,
  portTls: 8883,
  // [MQTT-6.0.0-3]; the second is what clients of 3.1 say.
  subprotocols: ['mqtt', 'mqttv3.1'],
  textMessages: false,
  schema,

  start(broker: Broker, settings: unknown, log: Log): FrontEnd {
    const front = newFront(broker, isSettings(settings) ? settings : defaults, log)
    let stopSys = () => {}
    return {
      dialect: { ...dialect, describe: (message, delivery) => describe(front.topics, message, delivery), ruleOf: ruleIn(losses) },
      otherDialects: [
        {
          ...dialectFive(front.topics),
          describe: (message, delivery) => describeFive(front.topics, message, delivery, broker.clock.wallMs()),
          ruleOf: ruleIn(lossesFive),
        },
      ],
      accept: acceptor(front),
      started() {
        stopSys()
        stopSys = publishSys(front)
      },
    }
  },
}

export default mqtt

function acceptor(front: Front): FrontEnd['accept'] {
  const native = (wire: Wire): Connection => new MqttConnection(front, wire)
  if (front.settings.engine === 'native') return native
  const { broker, settings, log } = front
  // Loaded once, and only for who asks for it. What fails here is told when a client needs it.
  const aedes = Promise.all([import('./aedes/link.ts'), import('aedes')]).then(
    ([{ AedesLink }, { Aedes }]) =>
      (wire: Wire): Connection =>
        new AedesLink(front, wire, Aedes),
  )
  aedes.catch((error: unknown) => log.error({ err: error }, 'aedes could not be loaded'))
  return (wire) => new Choice(wire, { native, aedes }, (run) => broker.schedule(settings.connectTimeoutMs, run))
}

export function newFront(broker: Broker, settings: MqttSettings, log: Log): Front {
  const topics = new Topics(broker, settings)
  const counted = { nameless: 0, connected: 0, connectedMax: 0, reservedDropped: 0, tooLargeDropped: 0, refusedByClients: 0 }
  return { broker, settings, log, topics, writer: new PublishWriter(topics), ...counted }
}

/** What passed the schema is complete. Absent: when nothing is configured, the schema need not even be loaded. */
function isSettings(settings: unknown): settings is MqttSettings {
  return typeof settings === 'object' && settings !== null && Object.keys(defaults).every((key) => key in settings)
}
