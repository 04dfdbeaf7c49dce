// The brokers that stand beside ours in docs/conformance: as they come, but for a user, free ports and what their sentence here says.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connectAsync } from 'mqtt'
import { openAedes } from '../../conformance/references/aedes.ts'
import { command, debian, freePorts, type Peer, start, stompVersion } from './peer.ts'

const here = fileURLToPath(new URL('.', import.meta.url))
const LOGIN = { user: 'conformance', password: 'a-word-that-is-right' }

const mosquitto: Peer = {
  name: 'mosquitto',
  title: 'Mosquitto',
  home: 'https://mosquitto.org',
  settings: 'Of Debian, with persistence, a password file and `allow_anonymous true`.',
  install: () => debian('mosquitto', 'mosquitto'),
  async start(_, data) {
    const [mqtt = 0, ws = 0] = await freePorts(2)
    const passwords = join(data, 'passwords')
    const failed = command('mosquitto_passwd', ['-b', '-c', passwords, LOGIN.user, LOGIN.password])
    if (failed !== undefined) throw new Error(failed)
    const lines = [
      `listener ${mqtt} 127.0.0.1`,
      `listener ${ws} 127.0.0.1`,
      'protocol websockets',
      'allow_anonymous true',
      `password_file ${passwords}`,
      'persistence true',
      `persistence_location ${data}/`,
      `user ${process.env['USER'] ?? 'root'}`,
    ]
    writeFileSync(join(data, 'mosquitto.conf'), `${lines.join('\n')}\n`)
    const { listening, stop } = start('mosquitto', ['-c', join(data, 'mosquitto.conf')], join(data, 'log'))
    await listening([mqtt, ws])
    const urls = { mqtt: `mqtt://127.0.0.1:${mqtt}`, ws: `ws://127.0.0.1:${ws}` }
    return { ...LOGIN, urls, version: await systemTopic(urls.mqtt), stop }
  },
}

/** `mosquitto version 2.0.11` in `$SYS/broker/version`. */
async function systemTopic(url: string): Promise<string> {
  const client = await connectAsync(url)
  const version = new Promise<string>((resolve) => {
    client.once('message', (_, payload) => resolve(/[\d.]+/.exec(payload.toString())?.[0] ?? ''))
  })
  await client.subscribeAsync('$SYS/broker/version')
  try {
    return await version
  } finally {
    await client.endAsync(true)
  }
}

const rabbitmq: Peer = {
  name: 'rabbitmq',
  title: 'RabbitMQ',
  home: 'https://www.rabbitmq.com',
  settings:
    'Of Debian, with its plugins for MQTT, STOMP, AMQP 1.0, MQTT over WebSocket and, at a listener of its own, STOMP over WebSocket; its own user `guest`.',
  install: () => debian('rabbitmq-server', 'rabbitmq-server'),
  async start(_, data) {
    const [core = 0, mqtt = 0, stomp = 0, ws = 0, stompWs = 0, names = 0, nodes = 0] = await freePorts(7)
    writeFileSync(join(data, 'enabled_plugins'), '[rabbitmq_amqp1_0,rabbitmq_mqtt,rabbitmq_stomp,rabbitmq_web_mqtt,rabbitmq_web_stomp].\n')
    const lines = [
      `listeners.tcp.default = 127.0.0.1:${core}`,
      `mqtt.listeners.tcp.default = 127.0.0.1:${mqtt}`,
      `stomp.listeners.tcp.default = 127.0.0.1:${stomp}`,
      `web_mqtt.tcp.listener = 127.0.0.1:${ws}`,
      `web_stomp.tcp.listener = 127.0.0.1:${stompWs}`,
    ]
    writeFileSync(join(data, 'rabbitmq.conf'), `${lines.join('\n')}\n`)
    const env = {
      HOME: data,
      ERL_EPMD_PORT: String(names),
      ERL_EPMD_ADDRESS: '127.0.0.1',
      RABBITMQ_NODENAME: 'conformance@localhost',
      RABBITMQ_DIST_PORT: String(nodes),
      RABBITMQ_MNESIA_BASE: join(data, 'mnesia'),
      RABBITMQ_LOG_BASE: join(data, 'logs'),
      RABBITMQ_CONFIG_FILE: join(data, 'rabbitmq.conf'),
      RABBITMQ_CONF_ENV_FILE: '/dev/null',
      RABBITMQ_ENABLED_PLUGINS_FILE: join(data, 'enabled_plugins'),
      RABBITMQ_PID_FILE: join(data, 'pid'),
      RABBITMQ_FEATURE_FLAGS_FILE: join(data, 'feature_flags'),
    }
    // The packaged wrapper changes the user; what it wraps does not.
    const program = '/usr/lib/rabbitmq/bin/rabbitmq-server'
    const { listening, stop } = start(existsSync(program) ? program : 'rabbitmq-server', [], join(data, 'log'), env)
    await listening([core, mqtt, stomp, ws, stompWs])
    const login = { user: 'guest', password: 'guest' }
    return {
      ...login,
      urls: {
        mqtt: `mqtt://127.0.0.1:${mqtt}`,
        amqp: `amqp://127.0.0.1:${core}`,
        stomp: `stomp://127.0.0.1:${stomp}`,
        ws: `ws://127.0.0.1:${ws}/ws`,
      },
      furtherWs: `ws://127.0.0.1:${stompWs}/ws`,
      version: await stompVersion(stomp, login),
      async stop() {
        await stop()
        command('epmd', ['-port', String(names), '-kill'])
      },
    }
  },
}

const activemq: Peer = {
  name: 'activemq',
  title: 'ActiveMQ Classic',
  home: 'https://activemq.apache.org/components/classic/',
  settings:
    'From Maven Central, run inside a program of one page (`scripts/peers/classic`) with KahaDB, scheduler support, a user and anonymous access; its WebSocket transport is of 6.1.8, and for the bridge AMQP has `transport.transformer=jms`.',
  install(folder) {
    const lib = join(folder, 'classic', 'lib')
    if (existsSync(lib) && readdirSync(lib).some((name) => name.startsWith('jettison'))) return undefined
    mkdirSync(lib, { recursive: true })
    return command('mvn', [
      ...['-q', '-B', '-f', join(here, 'classic', 'pom.xml'), 'dependency:copy-dependencies'],
      ...[`-DoutputDirectory=${lib}`, '-DincludeScope=runtime'],
    ])
  },
  async start(folder, data) {
    const [amqp = 0, stomp = 0, mqtt = 0, ws = 0, bridged = 0] = await freePorts(5)
    cpSync(join(here, 'classic', 'Classic.java'), join(data, 'Classic.java'))
    const args = [
      '-Xmx512M',
      '-cp',
      join(folder, 'classic', 'lib', '*'),
      join(data, 'Classic.java'),
      data,
      ...[amqp, stomp, mqtt, ws, bridged].map(String),
    ]
    const { listening, stop } = start('java', args, join(data, 'log'))
    await listening([amqp, stomp, mqtt, ws, bridged])
    return {
      ...LOGIN,
      urls: {
        mqtt: `mqtt://127.0.0.1:${mqtt}`,
        amqp: `amqp://127.0.0.1:${amqp}`,
        stomp: `stomp://127.0.0.1:${stomp}`,
        ws: `ws://127.0.0.1:${ws}`,
      },
      bridge: { amqp: `amqp://127.0.0.1:${bridged}` },
      version: await stompVersion(stomp, LOGIN),
      stop,
    }
  },
}

const ARTEMIS = '2.56.0'

const artemis: Peer = {
  name: 'artemis',
  title: 'Artemis',
  home: 'https://artemis.apache.org',
  settings: 'The default instance without console, with a user whose login is asked for, and prefixes on its acceptors that tell queues from topics.',
  install(folder) {
    const home = join(folder, 'artemis')
    if (existsSync(join(home, 'bin', 'artemis'))) return undefined
    const plugin = 'org.apache.maven.plugins:maven-dependency-plugin:2.8:get'
    const failed = command('mvn', ['-q', '-B', plugin, `-Dartifact=org.apache.artemis:apache-artemis:${ARTEMIS}:tar.gz:bin`, '-Dtransitive=false'])
    if (failed !== undefined) return failed
    mkdirSync(home, { recursive: true })
    const archive = join(homedir(), '.m2/repository/org/apache/artemis/apache-artemis', ARTEMIS, `apache-artemis-${ARTEMIS}-bin.tar.gz`)
    return command('tar', ['xzf', archive, '-C', home, '--strip-components=1'])
  },
  async start(folder, data) {
    const [core = 0, amqp = 0, stomp = 0, mqtt = 0] = await freePorts(4)
    const instance = join(data, 'instance')
    const failed = command(join(folder, 'artemis', 'bin', 'artemis'), [
      ...['create', '--silent', '--user', LOGIN.user, '--password', LOGIN.password, '--require-login'],
      ...['--no-web', '--nio', '--host', '127.0.0.1', '--force', instance],
    ])
    if (failed !== undefined) throw new Error(failed)
    const file = join(instance, 'etc', 'broker.xml')
    const changed = readFileSync(file, 'utf8')
      .replace(/^.*:5445\?.*$\n/m, '')
      .replace(':61616?', `:${core}?`)
      .replace(':5672?', `:${amqp}?anycastPrefix=queue://;multicastPrefix=topic://;`)
      .replace(':61613?', `:${stomp}?anycastPrefix=/queue/;multicastPrefix=/topic/;`)
      .replace(':1883?', `:${mqtt}?`)
    writeFileSync(file, changed)
    const { listening, stop } = start(join(instance, 'bin', 'artemis'), ['run'], join(data, 'log'))
    await listening([core, amqp, stomp, mqtt])
    return {
      ...LOGIN,
      urls: {
        mqtt: `mqtt://127.0.0.1:${mqtt}`,
        amqp: `amqp://127.0.0.1:${amqp}`,
        stomp: `stomp://127.0.0.1:${stomp}`,
        // The acceptor of all protocols, which tells them apart by their subprotocols.
        ws: `ws://127.0.0.1:${core}`,
      },
      version: await stompVersion(stomp, LOGIN),
      stop,
    }
  },
}

const aedes: Peer = {
  name: 'aedes',
  title: 'aedes',
  home: 'https://github.com/moscajs/aedes',
  settings: 'In memory, in the process of the suite.',
  install: () => undefined,
  async start() {
    const { urls, version, close } = await openAedes()
    return { urls, version, stop: close }
  },
}

export const peers: readonly Peer[] = [mosquitto, rabbitmq, activemq, artemis, aedes]
