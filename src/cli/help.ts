// The texts of `--help`; docs/reference/command-line.md is generated from them.

export const text: Readonly<Record<string, string>> = {
  bascule: `Bascule, a message broker for MQTT, STOMP and AMQP 1.0.

  bascule start            runs the broker
  bascule destinations     lists queues and what is on them
  bascule connections      lists who is connected
  bascule browse           shows what is on a queue without taking it
  bascule explain          shows one message as every protocol would, and what each loses
  bascule move             moves messages to another queue, or dead letters back
  bascule purge            removes what is on a queue
  bascule remove           removes a queue
  bascule scheduled        lists messages that are sent again and again
  bascule unschedule       ends one of them
  bascule send             sends messages to a broker, by any protocol
  bascule receive          takes messages from a broker, by any protocol
  bascule failover         the active node hands over to the standby
  bascule state digest     prints the batch and digest of a node's durable state
  bascule journal check    looks for damage in a data directory
  bascule journal dump     prints what a journal holds
  bascule pair             two nodes on one directory, to watch a failover
  bascule drill            failover under load, with a verdict
  bascule conformance      checks a broker against the specifications
  bascule user entry NAME  makes of a password what the configuration wants
  bascule version          prints the version
  bascule help COMMAND     says more about one of them
`,
  start: `bascule start [flags]

Runs the broker in the foreground. Started twice on one data directory, the second follows as a standby and takes over when the first ends, hangs or hands over.
SIGTERM or SIGINT stops it in order; a second one stops it at once.

  --config FILE            configuration, YAML or JSON (also BASCULE_CONFIG)
  --data DIR               data directory (data)
  --node ID                name of this node (the first letter that no other node of the directory uses)
  --ports free             every listener gets a free port
  --port-offset N          added to every fixed port
  --listen NAME=HOST:PORT  where one listener listens; NAME=off closes it; may be repeated
  --ready-file FILE        gets the content of the ready line once every listener is bound
  --insecure               allows listeners beyond loopback without TLS, or open to everybody
  --log-level LEVEL        debug, info, warn, error or silent (info)
  --set KEY=VALUE          any other key of the configuration, such as journal.cacheBytes=1048576; may be repeated
  --claim                  takes over although the leader lives: it notices and acknowledges nothing more

Every key also exists in the environment: journal.cacheBytes is BASCULE_JOURNAL_CACHE_BYTES. Flags go before the environment, the environment before the file.
When every listener is bound it prints one line: ready {"role":"active","node":"a","epoch":3,"listeners":{"mqtt":"127.0.0.1:1883",…}}
Exit code: 0 stopped in order, 1 failed, 2 wrong usage.
`,
  failover: `bascule failover [--url HOST:PORT] [--force]

Asks the active node to hand over: it commits and answers what is in flight, gives its claim away, tells its clients where to go, and is a standby then.

  --url HOST:PORT          management address of the active node (BASCULE_URL, else 127.0.0.1:8161)
  --force                  also when no standby is warm: clients wait until one leads

Exit code: 0 handed over, 1 refused or not reached, 2 wrong usage.
`,
  state: `bascule state digest [--url HOST:PORT | --data DIR]

Prints the number of a batch and the digest of the durable state up to it. Two nodes of a pair that print the same batch print the same digest.
The active node stops reading its clients for that moment; a standby prints what it has applied, which is one batch less than what is written.

  --url HOST:PORT          management address of the node (BASCULE_URL, else 127.0.0.1:8161)
  --data DIR               reads a data directory instead, as a node that starts would; it changes nothing

Exit code: 0 printed, 1 not reached or not warm, 2 wrong usage.
`,
  journal: `bascule journal check [--data DIR] [--json]
bascule journal dump [--data DIR]

check reads the whole journal, changes nothing, and prints one line for each finding. It may run beside a broker.
dump prints what the journal holds, batch by batch, fact by fact.

  --data DIR               data directory (data)
  --json                   one JSON object a line

Exit code: 0 nothing is damaged, 1 damage was found, 2 wrong usage.
`,
  destinations: `bascule destinations [PATTERN] [flags]

Lists the queues of the active node by name. In PATTERN \`*\` stands for any part of a name; queues that front ends keep for themselves (subscriptions) have the protocol's
name before theirs, as in \`mqtt:*\`, and are listed only when asked for. By that name browse, explain, purge and remove find them too.

  --url HOST:PORT          management address of the active node (BASCULE_URL, else 127.0.0.1:8161)
  --json                   one JSON object

Exit code: 0 printed, 1 not reached or not active, 2 wrong usage.
`,
  connections: `bascule connections [flags]

Lists the connected clients of the active node: what their consumers may still be given (credit), what they have not settled, and publishes that wait for room (parked).

  --url HOST:PORT          management address of the active node (BASCULE_URL, else 127.0.0.1:8161)
  --json                   one JSON object

Exit code: 0 printed, 1 not reached or not active, 2 wrong usage.
`,
  browse: `bascule browse QUEUE [flags]

Shows what is on a queue, in the order in which it would be given out, without taking it.

  --count N                at most so many (100)
  --after PLACE            begin behind this message: its sequence, or what the page before said
  --held                   also what consumers have in hand and what waits for its time; it comes last
  --bytes N                so much of each body (60; with --json 1024)
  --url HOST:PORT          management address of the active node (BASCULE_URL, else 127.0.0.1:8161)
  --json                   one JSON object a line: all fields, in the words of the protocol it came by

Exit code: 0 printed, 1 no such queue, not reached or not active, 2 wrong usage.
`,
  explain: `bascule explain QUEUE [SEQUENCE] [flags]

Shows one message of a queue, the first without SEQUENCE, as clients of every protocol would read it, and what is lost on the way to each: the field, and the rule that says why.

  --last                   the last one
  --index N                the one behind N others
  --bytes N                so much of the body (16384)
  --url HOST:PORT          management address of the active node (BASCULE_URL, else 127.0.0.1:8161)
  --json                   one JSON object

Exit code: 0 printed, 1 no such message, not reached or not active, 2 wrong usage.
`,
  move: `bascule move FROM TO [flags]
bascule move --redrive FROM [flags]

Moves messages from one queue to another, which is made if it is not there, or each dead letter back to the queue it came from. What consumers have in hand, what waits for its time and
what comes meanwhile stays. Each message is on one of both queues at every instant; a move that is broken off has moved the first so many.

  --count N                at most so many
  --url HOST:PORT          management address of the active node (BASCULE_URL, else 127.0.0.1:8161)
  --json                   one JSON object

Exit code: 0 moved, 1 no such queue, full, not reached or not active, 2 wrong usage.
`,
  purge: `bascule purge QUEUE [flags]

Removes what is on a queue and in nobody's hands.

  --url HOST:PORT          management address of the active node (BASCULE_URL, else 127.0.0.1:8161)
  --json                   one JSON object

Exit code: 0 removed, 1 no such queue, not reached or not active, 2 wrong usage.
`,
  remove: `bascule remove QUEUE [flags]

Removes a queue, and its bindings to topics. One that is not empty, or has consumers, stays unless forced.

  --force                  with what is on it; its consumers are told that it was removed
  --url HOST:PORT          management address of the active node (BASCULE_URL, else 127.0.0.1:8161)
  --json                   one JSON object

Exit code: 0 removed, 1 no such queue, in use, not reached or not active, 2 wrong usage.
`,
  scheduled: `bascule scheduled [flags]

Lists the messages that the active node sends again and again, or at times of the clock: their plan (delay and period in ms), how often each was sent, and when it is next.
Messages that are merely delayed lie on their queue.

  --url HOST:PORT          management address of the active node (BASCULE_URL, else 127.0.0.1:8161)
  --json                   one JSON object

Exit code: 0 printed, 1 not reached or not active, 2 wrong usage.
`,
  unschedule: `bascule unschedule NUMBER [flags]

Ends one of the messages that \`bascule scheduled\` lists: it is sent no more. What was sent stays where it is.

  --url HOST:PORT          management address of the active node (BASCULE_URL, else 127.0.0.1:8161)
  --json                   one JSON object

Exit code: 0 ended, 1 no such message, not reached or not active, 2 wrong usage.
`,
  send: `bascule send URL DESTINATION [BODY] [flags]

Sends messages to a broker, ours or another, and ends when it has acknowledged them. URL is mqtt://HOST:PORT, mqtt5://, amqp:// or stomp://, over WebSocket mqtt+ws://, mqtt5+ws://, amqp+ws:// or
stomp+ws://, over TLS mqtts://, mqtt+ssl://, mqtt+wss:// and so on (NODE_EXTRA_CA_CERTS=FILE names who vouches for the broker); a user and a password stand before the host (USER:PASSWORD@) or in BASCULE_LOGIN. DESTINATION is spelled as the protocol does: orders/eu, topic://orders.eu, /queue/orders.
Without BODY standard input is sent.

  --lines                  each line of standard input is a message
  --count N                each message so many times
  --header NAME=VALUE      a header (STOMP), or a field of the properties or an application property (AMQP), or a property of PUBLISH or a
                           user property (MQTT 5); may be repeated
  --volatile               not durable, QoS 0

Exit code: 0 acknowledged, 1 refused or not reached, 2 wrong usage.
`,
  receive: `bascule receive URL DESTINATION [flags]

Takes messages from a broker, ours or another, prints the body of each and acknowledges it, until it is interrupted. URL and DESTINATION as for send.

  --count N                ends after so many
  --wait MS                ends when nothing came for so long
  --json                   one JSON object a line, with all headers

Exit code: 0 ended as asked, 1 fewer than --count came, refused or not reached, 2 wrong usage.
`,
  pair: `bascule pair [flags]

Runs two nodes, a and b, on one data directory, and prints a line for each thing that happens to them; on a terminal also a table of both.
Node a has the usual ports, node b those plus 100. A node that ends is started again after 2 s. Both end with this command.

  --data DIR               data directory of both (data)
  --config FILE            configuration of both
  --ports free             both get free ports
  --port-offset N          added to every port
  --set KEY=VALUE          any other key of the configuration; may be repeated
  --no-restart             a node that ends stays away until start is typed

Commands, one a line: kill (SIGKILL), stop (SIGSTOP), cont (SIGCONT), handover, term (SIGTERM), start, status, quit.
kill, stop and term mean the active node, cont and start any that waits for it; the name of a node after them means that one.
`,
  drill: `bascule drill [flags]

Producers and consumers of MQTT, STOMP and AMQP, some over WebSocket, work with acknowledgements while the active node is killed, stopped or told to hand over, round after round.
Prints of each round how long nobody was answered, and what was lost, duplicated or reordered; then p50, p99 and the longest of each fault.

  --rounds N               how many (10)
  --faults LIST            of kill, pause, handover, term; each as often as the others (kill)
  --at INSTANT             random, ack, burst or housekeeping (random)
  --seed S                 the same seed draws the same faults and instants
  --slice K/N              one Nth of the rounds, with a seed of its own
  --queued N               so many durable messages lie on a queue all the time (0)
  --rate N                 messages a second, all producers together (1000)
  --bytes N                body of each message (256)
  --lease MS               failover.leaseMs of the nodes (3000)
  --patience MS            longest wait for a successor, and for what is owed (30000)
  --data DIR               data directory of the pair; else a temporary one, kept when a round failed
  --set KEY=VALUE          any key of the nodes' configuration; may be repeated
  --program FILE           the program of the nodes (this one)
  --node-arg=ARG           passed to Node before the program; may be repeated
  --target FILE            other brokers than our own pair: docs/failover/drill.md says how to describe them
  --address N.PROTO=H:P    the same without a file: address of node N; may be repeated
  --command N.WHAT=CMD     and its commands: kill, pause, resume, handover, term, start, ready; may be repeated
  --json FILE              everything measured
  --junit FILE             one testcase a round
  --verbose                what the nodes do meanwhile

Exit code: 0 every promise was kept, 1 not, 2 wrong usage.
`,
  conformance: `bascule conformance run [--target PROTOCOL=URL …] [flags]
bascule conformance list [flags]
bascule conformance mutants [--target PROTOCOL=URL …] [flags]

run checks a broker clause by clause against the specifications. Without a target a node of our own is started in this process.
list prints the clauses: which are checked, and why others are not.
mutants shows of each check that it can fail: the broker stands behind a proxy that breaks this one clause.

  --target PROTOCOL=URL    mqtt=mqtt://host:1883, amqp=amqp://…, stomp=stomp://…, ws=ws://…; may be repeated; suites of other protocols are left out
  --user NAME, --pass WORD how to log in
  --profile NAME           how the broker writes addresses, and what is known to fail there: activemq, artemis, rabbitmq, mosquitto, aedes, bascule, or a file that ends in .json
  --name TEXT              how reports call the broker
  --reference aedes        the same beside a broker that runs in this process, in a column of its own; its failures do not count
  --suite NAME,…           only these suites
  --filter ID,…            only these clauses; what is no whole identifier stands for all that have it in theirs
  --slice K/N              one Nth of the clauses
  --level LEVEL            failures of this level and of stricter ones count: must, should or may (must; without a target should)
  --patience MS            how long an answer may take (2000)
  --parallel N             checks under way at once (16)
  --again                  what failed is tried once more, half as many at once and with twice the patience; only what fails twice is told
  --json FILE              of run, as the three that follow: everything; docs/conformance/report.schema.json says what is in it
  --junit FILE             one testcase a clause
  --html FILE              one page to read and filter
  --markdown FILE          tables, and what failed with its bytes
  --verbose                prints what went over the wires for each check, not for failures alone

Exit code: 0 nothing failed that counts, 1 something did, or no check could be carried out, 2 wrong usage, or nobody listens at a target.
`,
  user: `bascule user entry NAME [--cost N] [--iterations N]
bascule user hash [--cost N]

Reads a password from standard input, the first line of it, and prints an entry of \`users\` in the configuration: its hash, and verifiers for log-ins that do not send it (SCRAM). hash prints the hash alone.

  --iterations N           what a client has to compute at each log-in by SCRAM (32768); fewer than 4096 are refused, and some clients refuse more than 65536
  --cost N                 each step doubles the time and memory of a check (14: a fifth of a second, 16 MiB); a long random password needs less

Exit code: 0 printed, 2 wrong usage.
`,
  version: `bascule version

Prints the version.
`,
}
