// Every word that `protocols/` and `src/` share. Types only: no code, no state.
// A front end imports this file, its own folder and `protocols/shared/`, nothing else of `src/`; `src/` imports no front end.
//
// Rules of the whole interface:
// - Calls take their place before they return; two calls of one session never overtake each other.
// - Nothing that an uncommitted change causes is told: `Replies.done` and `Sink.deliver` come after the commit.
// - `Replies` and `Sink` are never called from inside a call of the same session; they come later in the same turn or in a later one.
// - Objects handed over have all their fields always (one hidden class). Byte arrays handed over are never written to afterwards.

// ---- Names ----------------------------------------------------------------------------------------------------------

export type Kind = 'queue' | 'topic' | 'stream'

/**
 * A destination's name. Made by `Broker.address` only, and worth keeping: the core remembers on it what it routes to.
 * `path` is an array of segments (`orders.eu` = `['orders', 'eu']`), so the core has no separator and nothing to escape.
 * `namespace` is `''` for the broker's own destinations; a front end may keep private ones under a name of its own.
 */
export interface Address {
  readonly namespace: string
  readonly kind: Kind
  readonly path: readonly string[]
  /** Of one made by `Broker.composite`: what it stands for. */
  readonly parts?: readonly Address[] | undefined
}

/** `one`: exactly one segment (MQTT `+`, STOMP `*`). `rest`: zero or more, last in the pattern (MQTT `#`, STOMP `>`). */
export type Wild = Readonly<{ wild: 'one' | 'rest' }>
/** Matches topics of namespace `''`. A wildcard in first place never matches a first segment that begins with `$`. */
export type Pattern = readonly (string | Wild)[]

// ---- Messages -------------------------------------------------------------------------------------------------------

/** Immutable; kept in the form in which it arrived. The core reads the fields and never the bytes. */
export interface Message {
  /** Name of the encoding of `head` and `body`: the `Dialect.name` of the front end it arrived through. */
  readonly dialect: string
  /** The dialect's own: headers and properties in its encoding (may be empty). */
  readonly head: Uint8Array
  readonly body: Uint8Array
  readonly durable: boolean
  /** 0 to 9; 4 is normal. */
  readonly priority: number
  /** Wall time in ms; 0: never. */
  readonly expiresAtMs: number
  /** Wall time in ms before which nobody is given it; 0: at once. */
  readonly deliverAtMs: number
  /** Message group; `''`: none. All messages of one go to one consumer of a queue while it lives, in order. */
  readonly group: string
  /** The last of its group: those that follow may go to another consumer (JMSXGroupSeq -1). */
  readonly groupEnds: boolean
}

/** A tagged value, so that no type of any protocol is lost on the way to another. */
export type Value =
  | Readonly<{ type: 'null' }>
  | Readonly<{ type: 'boolean'; value: boolean }>
  | Readonly<{ type: 'int8' | 'int16' | 'int32' | 'uint8' | 'uint16' | 'uint32' | 'float' | 'double'; value: number }>
  | Readonly<{ type: 'int64' | 'uint64' | 'timestamp'; value: bigint }>
  | Readonly<{ type: 'string' | 'symbol' | 'char'; value: string }>
  | Readonly<{ type: 'uuid' | 'binary'; value: Uint8Array }>
  | Readonly<{ type: 'list'; value: readonly Value[] }>
  | Readonly<{ type: 'map'; value: readonly (readonly [Value, Value])[] }>

export type Body =
  | Readonly<{ kind: 'text'; text: string | null }>
  | Readonly<{ kind: 'bytes'; bytes: Uint8Array }>
  | Readonly<{ kind: 'map'; entries: readonly (readonly [string, Value])[] }>
  | Readonly<{ kind: 'list'; items: readonly Value[] }>
  | Readonly<{ kind: 'object'; bytes: Uint8Array; contentType: string }>
  | Readonly<{ kind: 'none' }>

/**
 * The hub between dialects: each translates to and from this and nothing else. What is absent is `undefined`.
 * The routing fields (durable, priority, expiry, delay, group) are on `Message` and stay as they are.
 */
export interface Canonical extends CanonicalHead {
  readonly body: Body
}

/** Everything but the body. */
export interface CanonicalHead {
  readonly messageId: Value | undefined
  readonly correlationId: Value | undefined
  readonly replyTo: Address | undefined
  /** JMSType, AMQP subject. */
  readonly type: string | undefined
  readonly contentType: string | undefined
  readonly contentEncoding: string | undefined
  readonly timestampMs: number | undefined
  readonly userId: string | undefined
  readonly groupSequence: number | undefined
  /** MQTT's quality of service as its publisher set it (0, 1, 2); undefined for messages of other origin. */
  readonly qos: number | undefined
  readonly retain: boolean
  /** In order, duplicates kept. Readers that know only one take the first. */
  readonly properties: readonly (readonly [string, Value])[]
}

/** `field` of the message could not be carried into `to`; counted by (from, to, field). */
export type Lost = (field: string) => void

/** Why a field could not be carried: the rule's name and a sentence. */
export type Loss = Readonly<{ rule: string; says: string }>

/** A delivery as a client of one protocol reads it, for people. */
export type Described = Readonly<{
  /** In the protocol's spelling; undefined: it has no name there. */
  destination: string | undefined
  /** Headers, properties and what else there is beside the body, in the protocol's words and order. */
  fields: readonly (readonly [string, string])[]
  /** What the protocol calls it, and its bytes; what is no bytes there is JSON. */
  body: Readonly<{ kind: string; bytes: Uint8Array }>
}>

/** `undefined`: there is no such field, or it is empty. */
export type FieldReader = (name: string) => Value | undefined

export interface Dialect {
  readonly name: string
  toCanonical(message: Message): Canonical
  /** The same without a look at the body, and identifiers as text: what selectors are judged by. */
  headOf(message: Message): CanonicalHead
  /**
   * Of a message of any dialect, `head` of which is its `headOf`: its fields as clients of this one know them, each with its type, for selectors that
   * name them so (`amqp."properties.subject"`). Without a look at the body. Not there: selectors name none of this dialect.
   */
  fieldsOf?(message: Message, head: CanonicalHead): FieldReader
  /** The dialect's own `head` and `body`; undefined: this dialect cannot represent the message. */
  fromCanonical(canonical: Canonical, message: Message, lost: Lost): Readonly<{ head: Uint8Array; body: Uint8Array }> | undefined
  /** `message`: the delivery's, in this dialect. */
  describe(message: Message, delivery: Delivery): Described
  /** Of a field that `fromCanonical` said is lost. */
  ruleOf(field: string): Loss
}

// ---- Queues and bindings --------------------------------------------------------------------------------------------

/** What to do with a message for a queue at its limit. `refuse` parks a publish sent to the queue itself; a copy that
 *  came through a topic is never refused for one full queue: there `refuse` means `drop-newest`.
 *  `end-consumers`: they are too slow and are ended, told `limit`. Drops are counted. */
export type WhenFull = 'refuse' | 'drop-newest' | 'drop-oldest' | 'end-consumers'

export interface QueueOptions {
  /** Survives a restart, and so do durable messages on it. */
  readonly durable: boolean
  /**
   * `held`: removed, with its bindings and messages, when the last session that holds it lets go or ends for good.
   * `temporary`: for a name that begins with the segment `$temp`, and for no other. It belongs to the session that declares it, which holds it by
   * that: nobody else may consume it. It goes when let go, or a while (`destinations.temporaryGraceMs`) after that session's connection broke, unless
   * its `owner` declares it again. Its messages are kept in memory only, even if the queue is durable. A temporary *topic* is declared the same way,
   * by an address of that kind. Sending to one that is not there is refused with `not-found`.
   */
  readonly lifetime: 'permanent' | 'held' | 'temporary'
  /** Who may have a temporary one again. */
  readonly owner?: string
  /** Absent fields are taken from the configuration's policy for this address. */
  readonly limitMessages?: number
  readonly limitBytes?: number
  readonly whenFull?: WhenFull
  /** Failures after which a message goes to the dead-letter queue (`deadLetter`) or is dropped; 0: never. */
  readonly failuresMax?: number
  readonly deadLetter?: Address | undefined
  readonly redeliveryDelayMs?: number
  /** Each further delay is the last one times this. */
  readonly redeliveryBackoff?: number
  readonly redeliveryDelayMaxMs?: number
}

export interface Binding {
  /** Which topics. */
  readonly pattern: Pattern
  /** To which queue. A second binding of the same pattern and queue replaces the first. */
  readonly queue: Address
  /** The front end's own small number (0 to 255, of which it uses few: granted QoS); comes back in `Delivery.tags`, and in `Bound`. */
  readonly tag: number
  /** Another one, of 32 bits, that is kept with the binding and comes back in `Bound` only; 0 if absent (MQTT 5's subscription identifier). */
  readonly label?: number
  /** `settled`: copies are settled when sent. `unsettled`: the consumer settles. `if-durable`: unsettled for durable messages only.
   *  Where several bindings of one queue match, the queue gets one copy and the strongest wins. */
  readonly settle: 'settled' | 'unsettled' | 'if-durable'
  /** Non-durable copies while nobody consumes the queue, or while its consumer has said `stall(true)`: `drop` counts and forgets them. */
  readonly absent: 'keep' | 'drop'
  /** Retained messages of matching topics: sent on every bind, on the first bind of this pattern only, or never. */
  readonly retained: 'always' | 'if-new' | 'never'
  /** A JMS selector: only messages that it takes. `invalid` or `limit` when it is none. */
  readonly selector?: string | undefined
  /** It reads a text beside a number or TRUE or FALSE as one, as if it began with `convert_string_expressions:`, for clients whose properties are texts. */
  readonly selectorConverts?: boolean
  /** Not what the client that binds sends itself, retained messages neither (until a restart): told by its client id, or by its session if it has none. */
  readonly noLocal?: boolean
}

/** What is bound to a queue. */
export type Bound = Readonly<{ pattern: Pattern; selector: string | undefined; noLocal: boolean; tag: number; label: number }>

// ---- Publishing -----------------------------------------------------------------------------------------------------

/** Rises with each call of a session that needs an answer. 0 (`REFUSED`): refused, `session.refusal` says why, nothing happened.
 *  -1 (`PARKED`): see `Session.publish`. */
export type Ticket = number

export interface PublishOptions {
  /** `set`: the topic keeps this as its retained message. `clear`: the topic forgets its retained message (the message itself is routed as any). */
  readonly retain: 'no' | 'set' | 'clear'
  /** Not 0: the session's note of this number is set in the same commit (MQTT QoS 2 packet id). */
  readonly note: number
  /** The message is seen by nobody before this is committed; a refusal of it dooms the transaction (`not-found` does not). Of any session of the broker. */
  readonly transaction: Transaction | undefined
}

/**
 * Sends and settlements that happen together or not at all, also over a crash. Begun by `Session.begin`, and rolled back when that session ends or the
 * transaction grows too old. Its messages take their places on their queues at its commit; what it settled stays in nobody's hands until then.
 */
export interface Transaction {
  /** Why it can only be rolled back; undefined: it may be committed, or is over. */
  readonly doomed: BrokerError | undefined
  /** From now on it can only be rolled back: something of it failed that the core does not know of. */
  doom(error: BrokerError): void
  /**
   * Done when all of it is durable. 0: it was doomed and is rolled back now, or is over already (`refusal` of the session that began it).
   * `PARKED` (-1): sends of it are still parked; answered by `Replies.admitted` or `Replies.refused`, in the order of the session's parked publishes.
   */
  commit(): Ticket
  /** Its messages vanish, and what it settled is unsettled again, with the same consumer. */
  rollback(): Ticket
  /**
   * A share of a rollback, for what would be too much at once: so many of what it settled are unsettled again, and it can only be rolled back. True: there
   * are more. Who shares it out lets its client settle nothing between the shares.
   */
  giveBack(count: number): boolean
}

/** When a message is sent again and again. */
export interface Plan {
  /** Before the first time; with `cron`, after each of its times. */
  readonly delayMs: number
  /** Between two times. 0: there is one (with `cron`: for each of its times). */
  readonly periodMs: number
  /** Times after the first; -1: for ever. */
  readonly repeat: number
  /** Minute, hour, day of month, month, day of week; '': none. */
  readonly cron: string
}

// ---- Consuming ------------------------------------------------------------------------------------------------------

/** AMQP's four; every protocol's acknowledgements map onto them. */
export type Outcome =
  | Readonly<{ kind: 'accepted' }>
  /** Poison: to the dead-letter queue, or dropped and counted. */
  | Readonly<{ kind: 'rejected'; reason: string }>
  /** Back to its place; not a failure. */
  | Readonly<{ kind: 'released'; afterMs: number }>
  /** `failed`: counts towards `failuresMax`. `elsewhere`: as rejected. */
  | Readonly<{ kind: 'modified'; failed: boolean; elsewhere: boolean; afterMs: number; added?: Addition }>

/** What a consumer adds to what is told of a message on this queue, in the encoding of its dialect; others do not see it. It goes along to a dead-letter queue. */
export type Addition = Readonly<{ dialect: string; bytes: Uint8Array }>

/** One message on one queue, for life, across restarts and takeovers. */
export interface EntryRef {
  /** The queue's number: small, never given twice. */
  readonly queue: number
  /** A safe integer; rises within the queue, never given twice. */
  readonly sequence: number
}

export interface Delivery {
  /** 1, 2, 3 … per consumer, so that ranges settle. 0: settled when sent, nothing to settle. */
  readonly tag: number
  readonly message: Message
  /** Where its producer sent it. */
  readonly to: Address
  readonly ref: EntryRef
  /** The queue it is taken from. */
  readonly queue: Address
  readonly mode: 'settled' | 'unsettled'
  /** `Binding.tag` of each binding that matched (interned: equal sets are the same array); empty when sent to the queue itself. */
  readonly tags: readonly number[]
  /** Times handed out, this one included. */
  readonly attempts: number
  /** Of those, failed: AMQP delivery-count. */
  readonly failures: number
  /** Handed out before, or possibly: JMSRedelivered, MQTT DUP. */
  readonly maybeSeen: boolean
  /** Set by `Consumer.mark` on an earlier delivery, 0 if never. */
  readonly mark: number
  readonly acceptedAtMs: number
  /** Sent because of a `Binding.retained`, not because of a publish. */
  readonly retained: boolean
  /** The first of its message group that goes to this consumer, where the configuration wants that told (JMSXGroupFirstForConsumer). */
  readonly groupFirst: boolean
  /** Only on a message that was moved to a dead-letter queue, or passed (`Consumer.pass`): why, and from where. */
  readonly dead: Readonly<{ reason: string; origin: Address }> | undefined
  /** By earlier consumers, oldest first; few have any. */
  readonly added: readonly Addition[] | undefined
}

export interface Sink {
  /** Never without credit. */
  deliver(delivery: Delivery): void
  /** After the last `deliver` of a run. */
  flush(): void
  /** The queue was removed, or the session ended. Nothing follows. */
  ended(error: BrokerError): void
}

export interface ConsumerOptions {
  /** `by-binding`: as the matching bindings say (direct sends: unsettled). The others are for every delivery. */
  readonly settle: 'settled' | 'unsettled' | 'by-binding'
  /** `refuse`: refused with `in-use` while another consumes one of the queues, and the other way round.
   *  `wait`: while it takes, all others of the queue wait; of several such, the one of the highest priority, then the oldest, takes. */
  readonly exclusive: 'no' | 'refuse' | 'wait'
  /** While consumers of a higher one have credit, those of a lower one are given nothing. -128 to 127; 0 is normal. */
  readonly priority: number
  /** A JMS selector: it takes only what that takes; the rest stays for others. Refused with `invalid` or `limit` when it is none. */
  readonly selector?: string | undefined
  /** As in `Binding`. */
  readonly selectorConverts?: boolean
}

/** Every queue whose name matches. */
export type QueuePattern = Readonly<{ pattern: Pattern }>

/** Takes from one or several queues with one credit. Deliveries settled when sent because of a binding use no message credit. */
export interface Consumer {
  /** More credit; negative takes back. Starts at 0. */
  grant(messages: number, bytes: number): void
  /** While stalled nothing is delivered, and what may be dropped (`Binding.absent`) is. */
  stall(stalled: boolean): void
  /** Also takes from this queue from now on; false: `session.refusal`. */
  add(queue: Address): boolean
  /** Takes no more from it. What is unsettled of it stays in its hands, and goes back when it closes. */
  drop(queue: Address): void
  /**
   * Settles the unsettled deliveries among `first … last`. `answered`: the protocol tells its client when this is durable
   * (STOMP receipt, PUBCOMP), so the fact is written at once; else lazily (20 ms). 0 with `not-found` when none of them is unsettled.
   */
  settle(first: number, last: number, outcome: Outcome, answered: boolean): Ticket
  /** Settles them when the transaction is committed; until then they are as settled, and unsettled again if it is rolled back. A refusal dooms it (`not-found` does not). */
  settleIn(transaction: Transaction, first: number, last: number, outcome: Outcome): Ticket
  /**
   * Keeps one small number (1 to 255) with the entry, durably: MQTT QoS 2 PUBREC seen. The delivery stays unsettled and the mark comes back after a reconnect
   * or restart. A message that has one expires no more: its client has half of it.
   */
  mark(tag: number, mark: number): Ticket
  /**
   * Moves an unsettled delivery to a queue that this session alone holds and consumes (a durable message to a durable one, no dead letter), in one commit. It
   * stays in the consumer's hands under its tag; given again it comes from there, `Delivery.dead` says where it was, and it expires no more. For a client that
   * must not share what it was shown (MQTT QoS 2 out of a shared queue). `back`: when that queue goes with its session, what is durable and has no mark returns
   * to the end of the queue it came from. Not to be shown before the ticket is done. Undefined: `session.refusal`.
   */
  pass(tag: number, to: Address, back: boolean): Readonly<{ ticket: Ticket; ref: EntryRef }> | undefined
  /**
   * Calls back once, after a turn in which nothing (more) could be handed to it: its queues have nothing ready, or its credit is used up. Needed where a
   * client asks for what there is and to be told that that was all (AMQP drain). A later call replaces an earlier one that has not been answered.
   */
  whenIdle(run: () => void): void
  /** What is unsettled goes back to its place, uncounted as failure, before everything else. */
  close(): void
}

export interface BrowseOptions {
  /** Also what is not to be given out now: in a consumer's hands, or waiting for its time. It comes last, in no order. */
  readonly held: boolean
  /** Only what this takes; as for a consumer. */
  readonly selector?: string | undefined
  readonly selectorConverts?: boolean
}

export interface BrowseSink extends Sink {
  /** What was there when the look began has been given. Called once; nothing follows. */
  drained(): void
}

/** A look at a queue: deliveries settled when sent that take nothing. What comes after it began is not seen. */
export type Browse = Pick<Consumer, 'grant' | 'stall' | 'whenIdle' | 'close'>

/** One waiting receive. First come first served; one message wakes one. */
export interface PullOptions {
  readonly max: number
  readonly bytes: number
  /** 0: answers at once with what there is. */
  readonly waitMs: number
  /** How long what is given stays invisible to others (a lock of kind *time*); settle with `Session.settleRef`. */
  readonly lockMs: number
}

// ---- Sessions -------------------------------------------------------------------------------------------------------

export interface Will {
  readonly to: Address
  readonly message: Message
  readonly retain: 'no' | 'set' | 'clear'
  /** Counted from the loss of the connection. The end of the session is never waited beyond. */
  readonly delayMs: number
  /** How long its message lives from when it is sent; absent or 0: as the message says. */
  readonly ttlMs?: number
}

export interface Identity {
  readonly principal: string
  /** For logs, limits and management only. */
  readonly protocol: string
  /** `''`: the broker's own, which management does not list. */
  readonly remote: string
  /** Names the session within `namespace`; `''`: nameless, ends with its connection. */
  readonly clientId: string
  /** What if a session of that name is connected: refuse this one, or end the other first (`taken-over`). */
  readonly clash: 'refuse' | 'take-over'
  /** How long the session, its held queues and notes outlive the connection; 0: not at all, `Infinity`: for ever (bounded by configuration). */
  readonly keepMs: number
  /** Forget an earlier session of this name first. */
  readonly fresh: boolean
  readonly will: Will | undefined
  /** Whose messages these are, for `Binding.noLocal`, where a client has several sessions. Without it: the client id, or the session itself. */
  readonly origin?: string
}

export interface Replies {
  /** Everything up to this ticket is committed (or needs no commit): tell the client. */
  done(upTo: Ticket): void
  /** The oldest parked publish took its place and has this ticket now; `done` for it follows. */
  admitted(ticket: Ticket): void
  /** The oldest parked publish was refused: it had no effect. */
  refused(error: BrokerError): void
  /** true: stop reading this connection; false: go on. Only for pressure that ends by itself (the journal's commit, a large body on its way to disk). */
  pressure(high: boolean): void
  /** The session is over and nothing in flight is known to have happened or not: taken over, removed, or the node no longer leads. Close the connection. */
  ended(error: BrokerError): void
}

export interface Held {
  readonly queue: Address
  /** Given to `hold`. */
  readonly tag: number
}

/** One client's connection to the core. Obtained by `Broker.open`. */
export interface Session {
  /** Answered like any ticket: tell the client it is connected when this is done. */
  readonly opened: Ticket
  /** An earlier session of this name was found and continued. */
  readonly resumed: boolean
  /** What became of `Identity.keepMs`. */
  readonly keepMs: number
  /** The last publish that was not parked or refused reached no queue. */
  readonly unheard: boolean
  /** Why the last call answered 0, false or undefined. */
  readonly refusal: BrokerError | undefined
  /** Numbers set by `publish` or `note`, kept as long as the session. */
  readonly notes: ReadonlySet<number>
  /** The queues this session holds, oldest first. */
  readonly held: readonly Held[]

  /**
   * Sends one message. `PARKED` (-1): the destination is full or a large body is being written; the publish waits its turn, as do all later
   * publishes of this session, and `Replies.admitted` or `Replies.refused` is called for each, oldest first. Other calls pass it.
   * 0: refused (`full` when the parked ones exceed the connection's limit).
   */
  publish(to: Address, message: Message, options: PublishOptions): Ticket
  /**
   * Keeps the message, durably whatever its own durability, and publishes it as the plan says, until it is done. What is due while no node leads is
   * made up for by one publish. `Message.deliverAtMs` is not looked at; each copy expires as long after its publish as this one would after now.
   * In a transaction: from its commit on, if there is one; times count from now, and those before the commit are made up for by one publish.
   */
  repeat(to: Address, message: Message, plan: Plan, transaction?: Transaction): Ticket
  /** Makes the queue if it is not there. An existing one keeps its options. */
  declare(queue: Address, options: QueueOptions): Ticket
  /** Removes the queue, its bindings and messages. */
  remove(queue: Address): Ticket
  /**
   * Keeps a queue of lifetime `held` alive for this session, with a number of the front end's own (32 bits). Holding again changes the number.
   * With `owner`: takes a temporary one that is there and that nobody has, if it is that owner's.
   */
  hold(queue: Address, tag: number, owner?: string): Ticket
  /** Lets go of it. */
  release(queue: Address): Ticket
  bind(binding: Binding): Ticket
  /** What is bound to a queue; empty when there is nothing, or no queue. */
  boundTo(queue: Address): readonly Bound[]
  /** `not-found` when there is no such binding. */
  unbind(queue: Address, pattern: Pattern): Ticket
  /** Undefined: `refusal`. Queues that are named must exist (declare them first); a pattern is of all that match and are in namespace `''`,
   *  those made later too, and such a consumer stays when they are removed. */
  consume(queues: readonly Address[] | QueuePattern, options: ConsumerOptions, sink: Sink): Consumer | undefined
  /** Undefined: `refusal`. Whoever consumes the queue, exclusively or not, is not disturbed. */
  browse(queue: Address, options: BrowseOptions, sink: BrowseSink): Browse | undefined
  /** `sink.flush` is called once, when answered: with or without deliveries. */
  pull(queue: Address, options: PullOptions, sink: Sink): Readonly<{ cancel(): void }> | undefined
  /** Settles what `pull` gave; `attempt` is the delivery's `attempts`. `not-found` when it is gone or was given to another since. */
  settleRef(ref: EntryRef, attempt: number, outcome: Outcome): Ticket
  /** Undefined: `refusal`. */
  begin(): Transaction | undefined
  /** Sets or clears a note. */
  note(key: number, set: boolean): Ticket
  /**
   * `clean`: the will is forgotten; a kept session stays for its time. `lost`: the connection broke; the will is sent (after its delay).
   * Consumers are closed, what was parked is dropped unanswered, and no reply follows. `keepMs` takes the place of the identity's, from now on;
   * not for a session that was not to be kept.
   */
  close(how: 'clean' | 'lost', keepMs?: number): void
}

// ---- The broker, as a front end sees it -----------------------------------------------------------------------------

export interface Clock {
  /** To write down. */
  wallMs(): number
  /** To measure. Never goes back. */
  monoMs(): number
  /** Runs once after about `delayMs`; the answer cancels it. For few, long-lived uses: one timer each. */
  after(delayMs: number, run: () => void): () => void
  /** Runs at the end of this turn of the event loop. */
  turn(run: () => void): void
}

/** Numbers since start, for `$SYS` and metrics. */
export interface Figures {
  readonly startedAtMs: number
  /** Wires, whoever speaks on them, also before it says who it is. */
  readonly connections: number
  readonly connectionsTotal: number
  /** Sessions that somebody has open: none or several for a connection. */
  readonly sessionsOpen: number
  /** Those and the kept ones whose client is away. */
  readonly sessions: number
  readonly bindings: number
  readonly queues: number
  readonly retained: number
  readonly entries: number
  readonly messagesIn: number
  readonly messagesOut: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly dropped: number
}

/** `data` of `done`: what proves to the client that it is us; may be empty. */
export type LoginStep = Readonly<{ kind: 'challenge'; data: Uint8Array }> | Readonly<{ kind: 'done'; principal: string; data: Uint8Array }>

/** A log-in in several steps, of one client. */
export interface LoginSteps {
  /**
   * What the client sent; undefined: nothing, which is not the same as something empty. One step at a time. Rejects with `BrokerError` `unauthenticated`
   * (malformed, too) or `throttled`, and is over then.
   */
  step(response: Uint8Array | undefined): Promise<LoginStep>
}

export interface Broker {
  readonly clock: Clock
  readonly node: string
  readonly version: string
  /** Cheap; keep the answer where the same name comes often (bounded). `namespace` defaults to `''`. */
  address(kind: Kind, path: readonly string[], namespace?: string): Address
  /**
   * One address for several, to publish to: the message reaches all of them or none. Its kind and name are the first one's. Like every address worth
   * keeping where it comes often. Queues among them must be there; it retains nothing.
   */
  composite(parts: readonly Address[]): Address
  /** The queue by which a consumer of all queues that match gets what is sent to virtual topics, to be declared for it; undefined: they are not such. */
  virtualQueue(pattern: Pattern): Address | undefined
  /** More parts than this are refused at the publish: to be looked at before anything is made for them. */
  readonly compositeMax: number
  /** Checks a login and answers its principal. Throws `BrokerError` `unauthenticated` or `throttled`. */
  authenticate(
    login: Readonly<{
      user: string | undefined
      password: Uint8Array | undefined
      remote: string
      secure: boolean
      certificate?: Certificate | undefined
    }>,
  ): Promise<string>
  /** Mechanisms of SASL in several steps by which every user can log in, strongest first: for protocols that show what there is. */
  readonly mechanisms: readonly string[]
  /** A log-in by one of them, or by one that only some users have; EXTERNAL: by the certificate, if it is a user's. Undefined: nobody has. */
  authenticateBy(mechanism: string, from: Pick<Wire, 'remote' | 'secure' | 'certificate'>): LoginSteps | undefined
  /** Throws `BrokerError`: `in-use` (clash), `limit`, `denied`. */
  open(identity: Identity, replies: Replies): Session
  /** Why this is no selector, before anything is made for it; undefined: it is one, or an empty text, which stands for none. */
  selectorFault(text: string): BrokerError | undefined
  /** `message` in another dialect, made once per message and dialect while it is in use; undefined: that dialect cannot represent it. */
  translate(message: Message, dialect: string): Message | undefined
  /** What every dialect is translated by, for a front end whose clients may ask for other forms than its dialect's; made anew by every call. */
  canonical(message: Message): Canonical | undefined
  /** For keep-alives and the like: coarse (250 ms), shared, cheap by the ten thousand. The answer cancels it. */
  schedule(delayMs: number, run: () => void): () => void
  figures(): Figures
  /**
   * Where clients of this protocol find the pair, as `host:port`: the other nodes first, this one last. Empty while nothing is known of another.
   * For the protocol's own way to tell (STOMP `server-list`, AMQP `failover-server-list`, MQTT 5 Server Reference). Whoever came over TLS (`secure`)
   * is sent to where TLS is spoken, or nowhere.
   */
  pairAddresses(protocol: string, secure?: boolean): readonly string[]
}

/** Who a client is, by what it says. */
export type LogIns = Pick<Broker, 'authenticate' | 'mechanisms' | 'authenticateBy'>

// ---- Front ends and transports --------------------------------------------------------------------------------------

/** What a client has proved of itself by a certificate that the configured authority vouches for. */
export type Certificate = Readonly<{
  /** '': none, or several. */
  commonName: string
  /** Alternative names: of hosts, of mail, URIs. */
  names: readonly string[]
  /** SHA-256, in hexadecimal digits alone. */
  fingerprint: string
}>

/** One connection's bytes, whatever carries them (TCP, TLS, WebSocket). */
export interface Wire {
  readonly remote: string
  /** What travels cannot be read on the way. */
  readonly secure: boolean
  readonly certificate?: Certificate | undefined
  /** Given bytes leave at the end of the turn, in one write. The array must not change afterwards. */
  write(bytes: Uint8Array): void
  /** The same without an array: answers where in `room` the caller writes so many bytes (at most 4,096), all of them, before its next call. */
  reserve(bytes: number): number
  /** Another one after each `reserve`. */
  readonly room: Buffer
  /** So many bytes of the last `reserve` were not needed after all, its last ones. */
  trim(bytes: number): void
  /** Bytes written and not yet taken by the operating system. */
  readonly backlogBytes: number
  /** Stop and go on reading. Counted: two pauses want two resumes. */
  pause(): void
  resume(): void
  /** Sends what is written, then closes. `data` is not called again. */
  end(): void
  /** Closes at once. */
  destroy(): void
}

/** What a front end gives back for a wire. */
export interface Connection {
  /** The array is good only until the call returns for reading in place; what is kept may be kept as a view (it is not reused). */
  data(bytes: Uint8Array): void
  /** The backlog rose above the high mark (true) or fell below the low mark (false). Above a hard limit the wire closes itself. */
  congested(high: boolean): void
  /** The wire is gone, whoever closed it. Called exactly once; nothing follows. */
  closed(): void
  /** The node stops or no longer leads: say so in the protocol's own words, then `wire.end()`. */
  shutdown(error: BrokerError): void
}

export interface FrontEnd {
  readonly dialect: Dialect
  /** Further ones, of other versions of the protocol. */
  readonly otherDialects?: readonly Dialect[]
  /** A new connection. */
  accept(wire: Wire): Connection
  /** The node leads: periodic work (`$SYS`) may begin. */
  started(): void
}

export type Log = Readonly<Record<'debug' | 'info' | 'warn' | 'error', (fields: Readonly<Record<string, unknown>>, message: string) => void>>

/** The default export of `protocols/<name>/index.ts`. */
export interface Protocol {
  readonly name: string
  readonly port: number
  readonly portTls: number
  /** Its names in `Sec-WebSocket-Protocol`; of those that a client offers, the first in this order is spoken. */
  readonly subprotocols: readonly string[]
  /** Whether WebSocket messages may be text. Clients that send text are then answered in text. */
  readonly textMessages: boolean
  /** JSON Schema (draft 2020-12) of the section `<name>` of the configuration; every property has a default and a description. */
  readonly schema: Readonly<Record<string, unknown>>
  /** `settings` has passed the schema, defaults filled in. */
  start(broker: Broker, settings: unknown, log: Log): FrontEnd
}

// ---- Errors ---------------------------------------------------------------------------------------------------------

/** Each protocol maps every code by a `Record<ErrorCode, …>`, so that a new code does not compile until it is mapped. */
export type ErrorCode =
  | 'not-found' // no such queue, binding, delivery
  | 'exists' // there already, with other options
  | 'in-use' // exclusive, or a client id that is connected
  | 'denied' // not allowed to this principal, or by configuration
  | 'unauthenticated'
  | 'invalid' // the request makes no sense
  | 'unsupported' // not there (yet)
  | 'too-large'
  | 'full' // destination or disk
  | 'limit' // a configured limit, named in the sentence
  | 'throttled' // try later
  | 'timeout'
  | 'cannot-convert'
  | 'taken-over' // another connection continues this session
  | 'removed' // the queue or session was deleted
  | 'shutting-down'
  | 'not-leading' // this node stopped leading: outcomes in flight are unknown
  | 'internal'

export interface BrokerError extends Error {
  readonly code: ErrorCode
}
