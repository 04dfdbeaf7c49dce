// The durable state as bytes: the facts that would make it, and saved facts for what took many. Read back by the same `apply`.
// Written by a thread that has replayed up to a batch (`snapshot-worker.ts`), so the leader's loop never stops for it.
import { createHash } from 'node:crypto'
import { FACT, FactWriter } from '../journal/facts.ts'
import type { Apply } from './apply.ts'
import { writeBinding, writeJob, writeQueue, writeSession, writeVia } from './cold-facts.ts'
import { ATTEMPTS, DEAD, ENTRY_FLAG, FAILURES, FLAGS, MARK, MESSAGE, NEXT, SEQUENCE, VIA } from './entries.ts'
import { EXPIRES, LENGTH, MESSAGE_FLAGS, OFFSET, ROUTE, SEGMENT } from './messages.ts'
import { Queue } from './queue.ts'
import type { State } from './state.ts'
import type { TransactionRecord } from './transaction.ts'

/** Bytes of one chunk, about. */
const CHUNK = 1 << 20
/** Pairs of queue and via in one set fact. */
const PAIRS_MAX = 20_000

/** Each fact is length u32 (of type and content), type u8, content. */
export function* encodeState(state: State): Generator<Uint8Array, void, void> {
  const out = new Chunks()
  const fact = new FactWriter()
  for (const [type, content] of definitions(state, fact)) {
    out.add(type, content)
    if (out.ready) yield out.take()
  }
  const written = new Uint8Array(state.messages.end)
  for (const queue of durableQueues(state)) {
    for (const row of durableEntries(state, queue)) {
      const message = state.entries.get(row, MESSAGE)
      if (written[message] === 0) {
        written[message] = 1
        out.add(FACT.savedMessage, savedMessage(state, fact.reset(), message))
      }
      out.add(FACT.savedEntry, savedEntry(state, fact.reset(), queue, row))
      for (const { dialect, bytes } of state.added.get(row) ?? []) {
        out.add(FACT.added, fact.reset().u32(queue.number).f64(state.entries.double(row, SEQUENCE)).text(dialect).bytes(bytes))
      }
      if (out.ready) yield out.take()
    }
    out.add(FACT.savedSequence, fact.reset().u32(queue.number).f64(queue.replayNext).u32(queue.sequenceEpoch))
  }
  for (const [, retained] of state.retained.match([{ wild: 'rest' }])) yield* retainedFacts(retained)
  // A pattern's first wildcard hides names that begin with `$`: those are asked for by name.
  for (const [, retained] of state.retained.hidden()) yield* retainedFacts(retained)
  for (const record of state.transactions.values()) yield* transactionFacts(record)
  out.add(FACT.savedEnd, fact.reset())
  yield out.take()

  /** Messages and what topics are to keep of them, in the order in which they were told. */
  function* transactionFacts(record: TransactionRecord): Generator<Uint8Array> {
    for (const content of deferredFacts(record, fact)) out.add(FACT.deferred, content)
    let told = 0
    const retaining = [...record.retaining]
    for (let i = 0; i <= record.rows.length; i++) {
      for (; told < retaining.length && retaining[told].before <= i; told++) {
        const { row, address } = retaining[told]
        out.add(FACT.savedRetaining, fact.reset().f64(record.number).u32(row).raw(address.encoded))
      }
      if (i === record.rows.length) break
      const row = record.rows[i]
      const target = record.targets[i]
      out.add(FACT.savedMessage, savedMessage(state, fact.reset(), row))
      out.add(
        FACT.savedSend,
        fact
          .reset()
          .f64(record.number)
          .u32(row)
          .u32(record.ordinals[i])
          .u32(target instanceof Queue ? target.number : 0),
      )
      if (out.ready) yield out.take()
    }
  }

  function* retainedFacts(retained: { message: number; durable: boolean; address: { encoded: Buffer } }): Generator<Uint8Array> {
    if (!retained.durable) return
    if (written[retained.message] === 0) {
      written[retained.message] = 1
      out.add(FACT.savedMessage, savedMessage(state, fact.reset(), retained.message))
    }
    out.add(FACT.savedRetained, fact.reset().u32(retained.message).raw(retained.address.encoded))
    if (out.ready) yield out.take()
  }
}

/** Applies what `encodeState` wrote, a chunk a step. */
export function* decodeState(apply: Apply, chunks: readonly Uint8Array[]): Generator<void, void, void> {
  let last = 0
  for (const chunk of chunks) {
    const buffer = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    for (let at = 0; at < buffer.length; ) {
      const length = buffer.readUInt32LE(at)
      last = buffer[at + 4]
      apply.fact(last, buffer, at + 5, at + 4 + length, 0, 0)
      at += 4 + length
    }
    yield
  }
  if (last !== FACT.savedEnd) throw new Error('a snapshot is not whole')
}

/** Equal for equal durable state, whoever leads: queues, bindings, sessions, entries with their messages' lengths, retained topics. */
export function digestState(state: State): string {
  const hash = new Gathered()
  const fact = new FactWriter()
  for (const [type, content] of definitions(state, fact)) {
    // Numbers that only say what comes next, and routes that only say how it was told, are not the state.
    if (type === FACT.savedCounters || type === FACT.set || type === FACT.via) continue
    hash.add(Uint8Array.of(type))
    hash.add(content.buffer.subarray(0, content.length))
  }
  for (const queue of durableQueues(state)) {
    for (const row of durableEntries(state, queue)) {
      const { entries, messages } = state
      const message = entries.get(row, MESSAGE)
      fact.reset().u32(queue.number).f64(entries.double(row, SEQUENCE)).u32(messages.get(message, LENGTH)).f64(messages.double(message, EXPIRES))
      fact.u32(messages.get(message, MESSAGE_FLAGS))
      fact
        .u8(entries.get(row, FAILURES))
        .u8(entries.get(row, MARK))
        .text(state.dead[entries.get(row, DEAD)]?.reason ?? '')
      for (const { bytes } of state.added.get(row) ?? []) fact.bytes(bytes)
      hash.add(fact.buffer.subarray(0, fact.length))
    }
  }
  // A leader knows them since they began, a reader since a fact told of them.
  const transactions = [...state.transactions.values()].filter(({ recorded }) => recorded).sort((a, b) => a.number - b.number)
  for (const record of transactions) digestTransaction(state, record, hash, fact)
  const topics = [...state.retained.match([{ wild: 'rest' }]), ...state.retained.hidden()].filter(([, { durable }]) => durable)
  topics.sort(([a], [b]) => (a.join('\u0000') < b.join('\u0000') ? -1 : 1))
  for (const [, { address, message }] of topics) {
    hash.add(address.encoded)
    hash.add(Buffer.from(String(state.messages.get(message, LENGTH))))
  }
  return hash.digest()
}

/** What the journal was told of it, and nothing else. */
function digestTransaction(state: State, record: TransactionRecord, hash: Gathered, fact: FactWriter): void {
  const { messages } = state
  for (const { buffer, length } of deferredFacts(record, fact)) hash.add(buffer.subarray(0, length))
  for (const [i, row] of record.rows.entries()) {
    if (messages.get(row, SEGMENT) === 0) continue
    fact.reset().f64(record.number).u32(record.ordinals[i]).u32(messages.get(row, LENGTH)).f64(messages.double(row, EXPIRES))
    hash.add(fact.buffer.subarray(0, fact.length))
  }
}

function* deferredFacts(record: TransactionRecord, fact: FactWriter): Generator<FactWriter, void, void> {
  const { goneQueues, goneFirsts, goneCounts } = record
  for (const [i, queue] of goneQueues.entries())
    yield fact.reset().f64(record.number).u8(FACT.gone).u32(queue).f64(goneFirsts[i]).u32(goneCounts[i]).u8(0)
  for (const { type, content } of record.deferred) yield fact.reset().f64(record.number).u8(type).raw(content)
}

/** A hash is given large pieces: one call an entry would cost more than the hashing. */
class Gathered {
  readonly #hash = createHash('sha256')
  readonly #buffer = Buffer.allocUnsafeSlow(64 * 1024)
  #length = 0

  add(bytes: Uint8Array): void {
    if (this.#length + bytes.length > this.#buffer.length) this.#flush()
    if (bytes.length > this.#buffer.length) this.#hash.update(bytes)
    else {
      this.#buffer.set(bytes, this.#length)
      this.#length += bytes.length
    }
  }

  digest(): string {
    this.#flush()
    return this.#hash.digest('hex')
  }

  #flush(): void {
    this.#hash.update(this.#buffer.subarray(0, this.#length))
    this.#length = 0
  }
}

function* definitions(state: State, fact: FactWriter): Generator<readonly [number, FactWriter], void, void> {
  yield [
    FACT.savedCounters,
    fact
      .reset()
      .u32(state.nextQueue)
      .u32(state.nextSession)
      .f64(state.nextTransaction)
      .u32(state.sets.next)
      .u32(state.messages.end)
      .u32(state.nextJob),
  ]
  for (const [number, name] of state.dialects.entries()) if (number > 0) yield [FACT.dialect, fact.reset().u16(number).text(name)]
  for (const queue of durableQueues(state)) yield [FACT.queue, writeQueue(fact.reset(), queue.number, queue.address, queue.declared)]
  for (const job of [...state.jobs.values()].sort((a, b) => a.number - b.number)) yield [FACT.job, writeJob(fact.reset(), job)]
  for (const session of [...state.sessionByNumber.values()].sort((a, b) => a.number - b.number)) {
    if (!session.recorded) continue
    yield [FACT.session, writeSession(fact.reset(), session)]
    for (const [queue, tag] of session.holds) if (queue.durable) yield [FACT.hold, fact.reset().u32(session.number).u32(queue.number).u32(tag)]
    for (const key of [...session.notes].sort((a, b) => a - b)) yield [FACT.note, fact.reset().u32(session.number).u32(key).u8(1)]
  }
  for (const via of state.vias.byNumber) if (via?.recorded && via.number > 0) yield [FACT.via, writeVia(fact.reset(), via)]
  for (const set of state.sets.byNumber.values()) {
    for (let at = 0; at === 0 || at < set.queues.length; at += PAIRS_MAX) {
      const queues = set.queues.slice(at, at + PAIRS_MAX)
      fact.reset().u32(set.number).u32(0).u32(queues.length)
      for (const [i, queue] of queues.entries()) fact.u32(queue.number).u32(set.vias[at + i].number)
      yield [FACT.set, fact.u32(0)]
    }
  }
  for (const queue of durableQueues(state)) {
    const bindings = [...(queue.bindings?.values() ?? [])].sort((a, b) => (a.key < b.key ? -1 : 1))
    for (const binding of bindings) yield [FACT.bind, writeBinding(fact.reset(), binding)]
  }
}

function durableQueues(state: State): Queue[] {
  const queues: Queue[] = []
  for (const queue of state.queues) if (queue?.recorded) queues.push(queue)
  return queues.sort((a, b) => a.number - b.number)
}

/** In order of sequence. */
function durableEntries(state: State, queue: Queue): number[] {
  const { entries } = state
  const rows: number[] = []
  let sorted = true
  for (const list of queue.lists()) {
    for (let row = list.head; row !== 0; row = entries.get(row, NEXT)) {
      if ((entries.get(row, FLAGS) & ENTRY_FLAG.durable) === 0) continue
      if (rows.length > 0 && entries.double(rows[rows.length - 1], SEQUENCE) > entries.double(row, SEQUENCE)) sorted = false
      rows.push(row)
    }
  }
  return sorted ? rows : rows.sort((a, b) => entries.double(a, SEQUENCE) - entries.double(b, SEQUENCE))
}

function savedMessage(state: State, fact: FactWriter, row: number): FactWriter {
  const { messages } = state
  fact.u32(row).u32(messages.get(row, SEGMENT)).u32(messages.get(row, OFFSET)).u32(messages.get(row, LENGTH))
  fact.u32(messages.get(row, ROUTE)).u32(messages.get(row, MESSAGE_FLAGS)).f64(messages.double(row, EXPIRES))
  fact.f64(messages.deliverAt.get(row) ?? 0)
  const pieces = messages.pieces.get(row) ?? []
  fact.u32(pieces.length)
  for (const piece of pieces) fact.u32(piece.segment).u32(piece.offset).u32(piece.length)
  return fact
}

function savedEntry(state: State, fact: FactWriter, queue: Queue, row: number): FactWriter {
  const { entries } = state
  const dead = state.dead[entries.get(row, DEAD)]
  fact.u32(entries.get(row, MESSAGE)).u32(queue.number).f64(entries.double(row, SEQUENCE)).u32(entries.get(row, VIA))
  fact.u32(entries.get(row, ATTEMPTS)).u8(entries.get(row, FAILURES)).u8(entries.get(row, MARK)).u8(entries.get(row, FLAGS))
  fact.f64(state.notBefore.get(row) ?? 0).u8(dead === undefined ? 0 : 1)
  if (dead !== undefined) fact.text(dead.reason).raw(dead.origin.encoded)
  return fact
}

/** Gathers framed facts into chunks. */
class Chunks {
  #buffer = Buffer.allocUnsafeSlow(CHUNK)
  #length = 0

  get ready(): boolean {
    return this.#length > CHUNK - 64 * 1024
  }

  add(type: number, content: FactWriter): void {
    const size = 5 + content.length
    if (this.#length + size > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#length + size))
      this.#buffer.copy(larger, 0, 0, this.#length)
      this.#buffer = larger
    }
    this.#buffer.writeUInt32LE(size - 4, this.#length)
    this.#buffer[this.#length + 4] = type
    content.buffer.copy(this.#buffer, this.#length + 5, 0, content.length)
    this.#length += size
  }

  take(): Uint8Array {
    const chunk = this.#buffer.subarray(0, this.#length)
    this.#buffer = Buffer.allocUnsafeSlow(CHUNK)
    this.#length = 0
    return chunk
  }
}
