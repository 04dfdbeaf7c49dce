// RFC 6455, 4: the opening hand-shake, as a server reads and answers it.
import type { Chapter, Clause, Level } from '../check.ts'
import { statusOf } from '../clients/ws-frame.ts'
import { type Request, WsWire } from '../clients/ws-wire.ts'
import { fail, mustBe, mustEqual } from '../outcome.ts'
import { accepts, lacksHeader, reads, refuses, responds, saysHeader } from './mutants.ts'
import { greeted, mqtt, refusal, shaken, stomp } from './session.ts'

/** A hand-shake that is not as it must be, which is answered by an error of HTTP. */
function mustRefuse(letter: string, level: Level, what: string, request: Request): Clause {
  return {
    id: `WS-4.2.1-${letter}`,
    level,
    says: `A hand-shake ${what} is answered by an error of HTTP.`,
    how: `A hand-shake ${what}, and otherwise right.`,
    async run(trial) {
      await refusal(trial, request)
    },
    mutants: [accepts],
  }
}

/** What asks for no WebSocket, or may not be heard asking: a request like others, which a server may serve as it likes, but for 101. */
function mustNotUpgrade(letter: string, what: string, request: (path: string) => Request): Clause {
  return {
    id: `WS-4.2.1-${letter}`,
    level: 'must',
    says: `A hand-shake ${what} is answered by HTTP, and no WebSocket is opened.`,
    how: `A hand-shake ${what}, and otherwise right.`,
    async run(trial) {
      const { path } = trial.addressOf('ws')
      const wire = await WsWire.open(trial)
      const head = await wire.shake(request(path === '' ? '/' : path))
      mustBe(statusOf(head) >= 200 && statusOf(head) < 600, `the answer to the hand-shake is ${head.start}`)
    },
    mutants: [accepts],
  }
}

/** A hand-shake that is unusual and right. */
function mustAccept(letter: string, what: string, request: Request): Clause {
  return {
    id: `WS-4.2.1-${letter}`,
    level: 'must',
    says: `A hand-shake ${what} is accepted.`,
    how: `A hand-shake ${what}, then a message that is answered.`,
    async run(trial) {
      const { dialect } = await shaken(trial, [mqtt, stomp])
      const wire = await WsWire.open(trial)
      const head = await wire.shake({ ...request, headers: { 'Sec-WebSocket-Protocol': dialect.names.join(', '), ...request.headers } })
      mustEqual(statusOf(head), 101, 'the status of the response')
      await (await greeted(trial, wire, dialect)).ask()
    },
    mutants: [
      {
        says: 'refuses it',
        // The first connection shows what an ordinary hand-shake is answered.
        start: () => {
          let connections = 0
          const refusing = refuses('').start()
          return (ends) => (++connections === 1 ? {} : refusing(ends))
        },
      },
    ],
  }
}

export const clientHandshake: Chapter = {
  title: '4.2.1 Reading the client’s opening hand-shake',
  clauses: [
    mustNotUpgrade('a', 'by another method than GET', (path) => ({ start: `POST ${path} HTTP/1.1` })),
    mustNotUpgrade('b', 'of HTTP 1.0', (path) => ({ start: `GET ${path} HTTP/1.0` })),
    mustRefuse('c', 'must', 'without Host', { headers: { Host: undefined } }),
    mustNotUpgrade('d', 'without Upgrade', () => ({ headers: { Upgrade: undefined } })),
    mustNotUpgrade('e', 'with an Upgrade to something else', () => ({ headers: { Upgrade: 'h2c' } })),
    mustNotUpgrade('f', 'without Connection', () => ({ headers: { Connection: undefined } })),
    mustNotUpgrade('g', 'whose Connection says no Upgrade', () => ({ headers: { Connection: 'keep-alive' } })),
    mustRefuse('h', 'must', 'without Sec-WebSocket-Key', { headers: { 'Sec-WebSocket-Key': undefined } }),
    mustRefuse('i', 'must', 'whose Sec-WebSocket-Key is not of 16 bytes', { headers: { 'Sec-WebSocket-Key': 'c2hvcnQ=' } }),
    mustRefuse('j', 'must', 'without Sec-WebSocket-Version', { headers: { 'Sec-WebSocket-Version': undefined } }),
    mustAccept('k', 'whose Upgrade is written in other letters', { headers: { Upgrade: 'WebSocket' } }),
    mustAccept('l', 'whose Connection lists more, in other letters', { headers: { Connection: 'keep-alive, upgrade' } }),
    mustAccept('m', 'without Origin, as from no browser,', { headers: { Origin: undefined } }),
    mustAccept('n', 'with headers that nobody knows', { headers: { 'X-Unknown': 'some value', Cookie: 'a=b' } }),
    mustAccept('o', 'whose header names are in small letters', {
      headers: {
        Upgrade: undefined,
        upgrade: 'websocket',
        Connection: undefined,
        connection: 'Upgrade',
        'Sec-WebSocket-Version': undefined,
        'sec-websocket-version': '13',
      },
    }),
    mustAccept('p', 'that offers an extension that nobody knows', { headers: { 'Sec-WebSocket-Extensions': 'x-unknown; level=9' } }),
    mustAccept('s', 'whose subprotocols come in two headers', {
      headers: { 'sec-websocket-protocol': 'made-up' },
    }),
    {
      id: 'WS-4.2.1-t',
      level: 'must',
      says: 'The request may name its resource by an absolute URI.',
      how: 'A hand-shake by `GET http://host:port/path HTTP/1.1`.',
      async run(trial) {
        const { host, port, path } = trial.addressOf('ws')
        const wire = await WsWire.open(trial)
        const head = await wire.shake({ start: `GET http://${host}:${port}${path === '' ? '/' : path} HTTP/1.1` })
        mustEqual(statusOf(head), 101, 'the status of the response')
      },
      mutants: [refuses('knows paths only', ({ start }) => start.startsWith('GET http:'))],
    },
    {
      id: 'WS-9.1-a',
      level: 'must',
      says: 'A list of extensions that is not written as one must be fails the connection.',
      how: 'A hand-shake with `Sec-WebSocket-Extensions: x-one; =, "`: an error of HTTP, or the end of the connection.',
      async run(trial) {
        const wire = await WsWire.open(trial)
        wire.text(wire.request({ headers: { 'Sec-WebSocket-Extensions': 'x-one; =, "' } }))
        const head = await wire.responseOrEnd()
        if (head !== undefined && statusOf(head) === 101) await wire.failed('a malformed list of extensions')
      },
      mutants: [reads('does not look at extensions', (headers) => void headers.delete('sec-websocket-extensions'))],
    },
    {
      id: 'WS-4.2.1-q',
      level: 'must',
      says: 'A hand-shake may come in pieces.',
      how: 'The request byte by byte.',
      async run(trial) {
        const wire = await WsWire.open(trial)
        for (const letter of wire.request()) wire.text(letter)
        mustEqual(statusOf(await wire.response()), 101, 'the status of the response')
      },
      mutants: [refuses('wants it in one piece')],
    },
    {
      id: 'WS-4.2.1-r',
      level: 'must',
      says: 'Requests are of HTTP 1.1, whose further rules a server keeps.',
      unchecked: 'They are not of this specification.',
    },
  ],
}

export const serverHandshake: Chapter = {
  title: '4.2.2 Answering it',
  clauses: [
    {
      id: 'WS-4.2.2-a',
      level: 'must',
      says: 'A hand-shake is accepted by status 101.',
      how: 'A hand-shake for subprotocols that brokers speak.',
      async run(trial) {
        const wire = await WsWire.open(trial)
        mustEqual(statusOf(await wire.shake()), 101, 'the status of the response')
      },
      mutants: [responds('answers 200', (headers) => ({ start: 'HTTP/1.1 200 OK', headers })), refuses('refuses everybody')],
    },
    ...[
      { letter: 'b', name: 'Upgrade', wanted: /^websocket$/i, wrong: 'h2c' },
      { letter: 'c', name: 'Connection', wanted: /(^|,)\s*upgrade\s*(,|$)/i, wrong: 'close' },
    ].map(
      ({ letter, name, wanted, wrong }): Clause => ({
        id: `WS-4.2.2-${letter}`,
        level: 'must',
        says: `The response has the header ${name} as it must be.`,
        how: `The header ${name} of the response.`,
        async run(trial) {
          const wire = await WsWire.open(trial)
          const { headers } = await wire.shake()
          const value = headers.get(name.toLowerCase()) ?? ''
          mustBe(wanted.test(value), `the header ${name} of the response is ${JSON.stringify(value)}`)
        },
        mutants: [lacksHeader(name), saysHeader(name, wrong)],
      }),
    ),
    {
      id: 'WS-4.2.2-d',
      level: 'must',
      says: 'Sec-WebSocket-Accept is made of the client’s key.',
      how: 'Two hand-shakes with keys of their own; the header Sec-WebSocket-Accept of each.',
      async run(trial) {
        for (let i = 0; i < 2; i++) {
          const wire = await WsWire.open(trial)
          const { headers } = await wire.shake()
          mustEqual(headers.get('sec-websocket-accept'), wire.accept, 'the header Sec-WebSocket-Accept')
        }
      },
      mutants: [lacksHeader('Sec-WebSocket-Accept'), saysHeader('Sec-WebSocket-Accept', 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=')],
    },
    {
      id: 'WS-4.2.2-e',
      level: 'must',
      says: 'The subprotocol of the response is one, and one that the client named.',
      how: 'A hand-shake that names several subprotocols; the header Sec-WebSocket-Protocol of the response, if there is one.',
      async run(trial) {
        const wire = await WsWire.open(trial)
        const offered = ['mqtt', 'v12.stomp', 'v11.stomp', 'amqp', 'made-up']
        const chosen = (await wire.shake({ headers: { 'Sec-WebSocket-Protocol': offered.join(', ') } })).headers.get('sec-websocket-protocol')
        if (chosen !== undefined && !offered.includes(chosen)) fail(`the response has Sec-WebSocket-Protocol: ${chosen}`)
      },
      mutants: [
        saysHeader('Sec-WebSocket-Protocol', 'other'),
        saysHeader('Sec-WebSocket-Protocol', ''),
        saysHeader('Sec-WebSocket-Protocol', 'mqtt, amqp'),
      ],
    },
    {
      id: 'WS-4.2.2-f',
      level: 'must',
      says: 'Who asks for subprotocols that the server does not speak is answered without one, or refused.',
      how: 'A hand-shake for a made-up subprotocol.',
      async run(trial) {
        const wire = await WsWire.open(trial)
        wire.text(wire.request({ headers: { 'Sec-WebSocket-Protocol': 'made-up' } }))
        const head = await wire.responseOrEnd()
        if (head === undefined) return
        const chosen = head.headers.get('sec-websocket-protocol')
        if (statusOf(head) === 101 && chosen !== undefined) fail(`the response has Sec-WebSocket-Protocol: ${chosen}`)
        mustBe(statusOf(head) === 101 || statusOf(head) >= 400, `the response is ${head.start}`)
      },
      mutants: [
        responds('speaks what it wants', (headers, { start }) => ({
          start: start.replace(/ \d+.*/, ' 101 Yes'),
          headers: headers.set('sec-websocket-protocol', 'mqtt'),
        })),
      ],
    },
    {
      id: 'WS-4.2.2-g',
      level: 'must',
      says: 'Who asks for no subprotocol gets none in the response, or is refused.',
      how: 'A hand-shake without Sec-WebSocket-Protocol.',
      async run(trial) {
        const wire = await WsWire.open(trial)
        wire.text(wire.request({ headers: { 'Sec-WebSocket-Protocol': undefined } }))
        const head = await wire.responseOrEnd()
        if (head === undefined) return
        const chosen = head.headers.get('sec-websocket-protocol')
        if (statusOf(head) === 101 && chosen !== undefined) fail(`the response has Sec-WebSocket-Protocol: ${chosen}`)
        mustBe(statusOf(head) === 101 || statusOf(head) >= 400, `the response is ${head.start}`)
      },
      mutants: [
        responds('speaks what it wants', (headers, { start }) => ({
          start: start.replace(/ \d+.*/, ' 101 Yes'),
          headers: headers.set('sec-websocket-protocol', 'mqtt'),
        })),
      ],
    },
    {
      id: 'WS-4.2.2-h',
      level: 'must',
      says: 'The response names no extension that the client did not offer.',
      how: 'A hand-shake without extensions, and one with an extension that nobody knows.',
      async run(trial) {
        for (const offered of [undefined, 'x-unknown; level=9']) {
          const wire = await WsWire.open(trial)
          const { headers } = await wire.shake({ headers: { 'Sec-WebSocket-Extensions': offered } })
          const agreed = headers.get('sec-websocket-extensions')
          if (agreed !== undefined && agreed.trim() !== '') fail(`the response has Sec-WebSocket-Extensions: ${agreed}`)
        }
      },
      mutants: [saysHeader('Sec-WebSocket-Extensions', 'permessage-deflate')],
    },
    {
      id: 'WS-4.2.2-i',
      level: 'must',
      says: 'An Origin that the server does not accept is answered by an error of HTTP; any other answer is 101.',
      how: 'A hand-shake of a page of another host.',
      async run(trial) {
        const wire = await WsWire.open(trial)
        const head = await wire.shake({ headers: { Origin: 'http://somewhere-else.example' } })
        mustBe(statusOf(head) === 101 || statusOf(head) >= 400, `the response is ${head.start}`)
      },
      mutants: [responds('answers 200', (headers) => ({ start: 'HTTP/1.1 200 OK', headers }))],
    },
    {
      id: 'WS-4.2.2-j',
      level: 'must',
      says: 'A resource that is not there is answered by an error of HTTP.',
      unchecked: 'A server may serve every path.',
    },
    {
      id: 'WS-4.2.2-k',
      level: 'may',
      says: 'A client may be redirected, or asked for a log-in of HTTP.',
      unchecked: 'A server need do neither.',
    },
    {
      id: 'WS-4.4-a',
      level: 'must',
      says: 'A version that the server does not speak is answered by an error of HTTP.',
      how: 'A hand-shake of version 99.',
      async run(trial) {
        await refusal(trial, { headers: { 'Sec-WebSocket-Version': '99' } })
      },
      mutants: [accepts, reads('speaks any version', (headers) => void headers.set('sec-websocket-version', '13'))],
    },
    {
      id: 'WS-4.4-b',
      level: 'must',
      says: 'That error lists the versions of the server in Sec-WebSocket-Version.',
      how: 'A hand-shake of version 99; the header Sec-WebSocket-Version of the response.',
      async run(trial) {
        const { headers } = await refusal(trial, { headers: { 'Sec-WebSocket-Version': '99' } })
        const versions = (headers.get('sec-websocket-version') ?? '').split(',').map((each) => each.trim())
        mustBe(versions.includes('13'), `the header Sec-WebSocket-Version of the response is ${JSON.stringify(versions.join(', '))}`)
      },
      mutants: [lacksHeader('Sec-WebSocket-Version'), saysHeader('Sec-WebSocket-Version', '99')],
    },
  ],
}
