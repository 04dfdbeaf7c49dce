// A node with a fault that a drill must find, chosen by DRILL_FAULT. It is the whole node, put together as `bascule start` does it, with one thing wrong:
//   unfenced   no look ever finds a higher epoch: a leader that was stopped and woken goes on
//   late       the disk says that batches are durable before they are written: a kill loses the last of them
//   forgetful  some settlements are answered and not recorded: they come again after the next takeover
// Run by `bascule drill --program test/drill/faulty-node.ts --node-arg=--import --node-arg=tsx`.
import { parseArgs } from 'node:util'
import { protocols } from '../../protocols/index.ts'
import type { Broker, Consumer, Protocol, Session } from '../../src/api.ts'
import { loadSettings } from '../../src/config/load.ts'
import { type Disk, type DiskFile, realDisk } from '../../src/disk.ts'
import { openLog } from '../../src/log.ts'
import { type MainOptions, openNode } from '../../src/main.ts'

/** How long after its answer a late write happens. */
const LATE_MS = 60
/** One of so many settlements is forgotten. */
const FORGET_EVERY = 3

const faults: Readonly<Record<string, () => Partial<MainOptions>>> = {
  none: () => ({}),
  unfenced: () => ({
    leadership: (real) => ({
      epoch: real.epoch,
      look: () => true,
      committed: (batch) => real.committed(batch),
      release: () => real.release(),
    }),
    // The leader also looks at each heartbeat, by itself; who stands by lists the claims and does not look.
    disk: { ...realDisk, exists: (path) => !/\/epochs\/\d+$/.test(path) && realDisk.exists(path) },
  }),
  late: () => ({ disk: lateDisk() }),
  forgetful: () => ({ protocols: protocols.map(forgetful) }),
}

const { values } = parseArgs({
  args: process.argv.slice(2),
  allowPositionals: true,
  options: {
    data: { type: 'string' },
    node: { type: 'string' },
    listen: { type: 'string', multiple: true },
    set: { type: 'string', multiple: true },
  },
})

const listen = (values.listen ?? []).map((each) =>
  each.replace(/^(\w+)=.*:(\d+)$/, 'listeners.$1.port=$2').replace(/^(\w+)=off$/, 'listeners.$1.enabled=false'),
)
const settings = await loadSettings(
  { file: '', environment: {}, flags: { data: values.data, node: values.node }, sets: [...listen, ...(values.set ?? [])] },
  protocols,
)
const fault = faults[process.env['DRILL_FAULT'] ?? 'none']
if (fault === undefined) throw new Error(`DRILL_FAULT is one of ${Object.keys(faults).join(', ')}`)
const { run, close } = await openNode({
  settings,
  version: 'faulty',
  log: openLog(settings.log, () => settings.node),
  protocols,
  force: false,
  ready: ({ role, node, epoch, listeners }) => process.stdout.write(`ready ${JSON.stringify({ role, node, epoch, listeners })}\n`),
  ...fault(),
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void close())
process.on('disconnect', () => void close())
await run()
process.exit(0)

/** Writes to segments are answered at once and done later, in order. */
function lateDisk(): Disk {
  return {
    ...realDisk,
    async open(path, mode) {
      const file = await realDisk.open(path, mode)
      return path.includes('/segments/') && mode.endsWith('-synced') ? lateFile(file) : file
    },
  }
}

function lateFile(file: DiskFile): DiskFile {
  let last: Promise<void> = Promise.resolve()
  return {
    // What is written in the mean time must not change under it.
    async write(buffers, position) {
      const copies = buffers.map((each) => Buffer.from(each))
      const due = new Promise<void>((resolve) => setTimeout(resolve, LATE_MS))
      last = Promise.all([last, due]).then(() => file.write(copies, position))
      last.catch(() => {})
    },
    read: (into, position) => file.read(into, position),
    sync: () => file.sync(),
    truncate: async (length) => {
      await last
      await file.truncate(length)
    },
    stat: () => file.stat(),
    tryLock: (kind) => file.tryLock(kind),
    close: async () => {
      await last
      await file.close()
    },
  }
}

/** The front end speaks to a broker whose consumers forget: the answer is real, that of some other small fact. */
function forgetful(protocol: Protocol): Protocol {
  let settlements = 0
  const consumerOf = (consumer: Consumer, session: Session): Consumer =>
    overlaid(consumer, {
      settle: (first, last, outcome, answered) =>
        answered && ++settlements % FORGET_EVERY === 0
          ? session.note(60_000 + (settlements % 1000), true)
          : consumer.settle(first, last, outcome, answered),
    })
  const sessionOf = (session: Session): Session =>
    overlaid(session, {
      consume: (queues, options, sink) => {
        const consumer = session.consume(queues, options, sink)
        return consumer === undefined ? undefined : consumerOf(consumer, session)
      },
    })
  const brokerOf = (broker: Broker): Broker => overlaid(broker, { open: (identity, replies) => sessionOf(broker.open(identity, replies)) })
  return { ...protocol, start: (broker, options, log) => protocol.start(brokerOf(broker), options, log) }
}

/** An object with some methods of its own and the rest of another's. */
function overlaid<T extends object>(real: T, own: Partial<T>): T {
  return new Proxy(real, {
    get(target, key) {
      if (Object.hasOwn(own, key)) return Reflect.get(own, key)
      const value: unknown = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
