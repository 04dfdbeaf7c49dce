// "STOMP Frames": how a frame is written, what ends it, and how its headers are encoded (1.2; 1.1 and 1.0 where they say the same).
import type { Chapter, Clause } from '../check.ts'
import { header, type Version } from '../clients/stomp-frame.ts'
import { StompWire } from '../clients/stomp-wire.ts'
import { fail, mustBe, mustEqual, skip } from '../outcome.ts'
import { mutant, neverCloses } from '../mutant.ts'
import { bears, changes, errs, mapHeaders, never, says, takes, withHeader } from './mutants.ts'
import { connected, connectHeaders, fill, leftBefore, numbered, only, queueOf, receive, subscribe } from './session.ts'

export function frames(version: Version): Chapter {
  const id = numbered(version, 'FRAME')
  return {
    title: 'STOMP frames',
    clauses: [
      ...only(version, ['1.2'], () => ({
        id: id('a'),
        level: 'must',
        says: 'A line may end with carriage return and line feed: the carriage return is no part of the command or of a value.',
        how: 'CONNECT and SEND with every line ended by CR LF, SEND asking for a receipt.',
        async run(trial) {
          const wire = await connected(trial, version)
          wire.bytes(`SEND\r\ndestination:${queueOf(trial)}\r\nreceipt:crlf\r\n\r\nbody\0`)
          await wire.receipt('crlf')
        },
        mutants: [
          changes('keeps the carriage return', 'RECEIPT', (frame) => withHeader(frame, 'receipt-id', 'crlf\\r')),
          takes('takes the carriage return for a part of the command', 'SEND', (frame) => ({ ...frame, command: 'SEND\\r' })),
        ],
      })),
      {
        id: id('b'),
        level: 'must',
        says: 'A frame may be followed by any number of line ends before the next begins.',
        how: 'Two SENDs with receipts, with line feeds between them and after them.',
        async run(trial) {
          const wire = await connected(trial, version)
          const send = (receipt: string): string => `SEND\ndestination:${queueOf(trial)}\nreceipt:${receipt}\n\nbody\0`
          wire.bytes(`\n${send('first')}\n\n\n${send('second')}\n`)
          await wire.receipt('first')
          await wire.receipt('second')
        },
        mutants: [
          mutant('takes a line end for the beginning of a frame', () => ({ toBroker: (raw) => (raw[0] === 10 ? 'close' : undefined) })),
          changes('loses the frame behind line ends', 'RECEIPT', (frame) => (header(frame, 'receipt-id') === 'second' ? 'drop' : undefined)),
        ],
      },
      {
        id: id('c'),
        level: 'must',
        says: 'Frames are cut out of a stream: where its pieces begin and end means nothing.',
        how: 'One SEND byte by byte; then two in one piece.',
        async run(trial) {
          const wire = await connected(trial, version)
          const send = (receipt: string): string => `SEND\ndestination:${queueOf(trial)}\nreceipt:${receipt}\n\nbody\0`
          for (const byte of Buffer.from(send('slow'))) wire.bytes(Buffer.from([byte]))
          await wire.receipt('slow')
          wire.bytes(send('one') + send('two'))
          await wire.receipt('one')
          await wire.receipt('two')
        },
        mutants: [
          changes('loses the second frame of a piece', 'RECEIPT', (frame) => (header(frame, 'receipt-id') === 'two' ? 'drop' : undefined)),
          mutant('takes every piece for a frame', (ends) => ({
            toBroker: (raw) => (raw.includes('slow') ? (ends.close(), []) : undefined),
          })),
        ],
      },
      ...only(version, ['1.2'], () => ({
        id: id('d'),
        level: 'must',
        says: 'Commands are told apart by case.',
        how: '`send` to a queue: whatever it is answered with, nothing of it may be in that queue.',
        async run(trial) {
          const wire = await connected(trial, version)
          const destination = queueOf(trial)
          await fill(wire, destination, ['before'])
          wire.send('send', { destination }, 'in small letters')
          // On the same connection, so that both are read before the queue is looked into; who closes instead has read it as well.
          wire.send('SEND', { destination, receipt: 'after' }, 'after')
          await wire.inbox.next('an answer, or the end of the connection,')
          const left = await leftBefore(trial, version, destination)
          mustBe(!left.includes('in small letters'), 'a frame `send` was taken for SEND')
        },
        mutants: [takes('takes `send` for SEND', 'send', (frame) => ({ ...frame, command: 'SEND' }))],
      })),
      ...only(version, ['1.2'], () => ({
        id: id('e'),
        level: 'must',
        says: 'Header names are told apart by case.',
        how: 'SEND with `Receipt:upper`, then one with `receipt:lower`.',
        async run(trial) {
          const wire = await connected(trial, version)
          wire.send('SEND', { destination: queueOf(trial), Receipt: 'upper' }, 'body')
          wire.send('SEND', { destination: queueOf(trial), receipt: 'lower' }, 'body')
          const receipt = await wire.next('RECEIPT')
          mustEqual(header(receipt, 'receipt-id'), 'lower', 'the first receipt-id')
        },
        mutants: [takes('takes `Receipt` for receipt', 'SEND', (frame) => mapHeaders(frame, ([name, value]) => [name.toLowerCase(), value]))],
      })),
    ],
  }
}

export function encoding(version: Version): Chapter {
  const id = numbered(version, 'ENC')
  const escaped = version === '1.2' ? '\\c,\\n,\\r,\\\\' : '\\c,\\n,\\\\'
  const wrong = (letter: string, text: string, what: string): Clause => ({
    id: id(letter),
    level: 'must',
    says: `An escape that is not defined (${what}) is a fatal error: the connection ends.`,
    how: `SEND with the header value \`${text}\`.`,
    async run(trial) {
      const wire = await connected(trial, version)
      wire.bytes(`SEND\ndestination:${queueOf(trial)}\nkey:${text}\nreceipt:wrong\n\nbody\0`)
      await wire.closed(`after the escape ${text}`)
    },
    mutants: [
      neverCloses,
      takes('takes what stands', 'SEND', (frame) => mapHeaders(frame, ([name, value]) => [name, name === 'key' ? 'plain' : value])),
    ],
  })
  return {
    title: 'Value encoding',
    clauses: [
      {
        id: id('a'),
        level: 'must',
        says: 'Headers are UTF-8.',
        how: 'A header whose name and value hold letters of two, three and four bytes, from SEND to MESSAGE.',
        async run(trial) {
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial))
          wire.send('SEND', { destination: queueOf(trial), naïve: 'ä€😀' }, 'body')
          const message = await wire.next('MESSAGE')
          mustEqual(header(message, 'naïve'), 'ä€😀', 'the header naïve of MESSAGE')
        },
        mutants: [
          changes('knows ASCII only', 'MESSAGE', (frame) => mapHeaders(frame, ([name, value]) => [name, value.replace(/[^\0-\x7f]/gu, '?')])),
          changes('knows Latin 1 only', 'MESSAGE', (_, raw) => Buffer.from(raw.toString('latin1'))),
        ],
      },
      {
        id: id('b'),
        level: 'must',
        says: 'What delimits a header is escaped in the headers that a server writes.',
        how: `A header whose value and name hold \`${escaped}\`, from SEND to MESSAGE.`,
        async run(trial) {
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial))
          wire.bytes(`SEND\ndestination:${queueOf(trial)}\nk\\cey:a${escaped}z\n\nbody\0`)
          const message = await wire.next('MESSAGE')
          if (!message.raw.includes(`\nk\\cey:a${escaped}z\n`)) fail('the header did not come back as it was written')
        },
        mutants: escaped
          .split(',')
          .map((each) =>
            changes(`does not escape ${each} again`, 'MESSAGE', (frame) =>
              mapHeaders(frame, ([name, value]) => [name, value.startsWith('a\\c') ? value.replace(each, ' ') : value]),
            ),
          ),
      },
      {
        id: id('c'),
        level: 'must',
        says: 'Escapes in the headers of a client are decoded.',
        how: `A header whose value holds \`\\c\` and \`\\\\\`, sent by ${version}, read by a subscriber of STOMP 1.0, which has no escapes.`,
        async run(trial) {
          const reader = await connected(trial, '1.0')
          await subscribe(reader, queueOf(trial))
          await fill(reader, queueOf(trial), ['before'], { key: 'a:b' })
          if (header(await reader.next('MESSAGE'), 'key') !== 'a:b') skip('the server escapes for 1.0 too, so that decoding cannot be seen')
          const wire = await connected(trial, version)
          wire.bytes(`SEND\ndestination:${queueOf(trial)}\nkey:a\\cb\\\\c\n\nbody\0`)
          const message = await reader.next('MESSAGE')
          mustEqual(header(message, 'key'), 'a:b\\c', 'the header key of MESSAGE')
        },
        mutants: [
          changes('does not decode', 'MESSAGE', (frame) => mapHeaders(frame, ([name, value]) => [name, value === 'a:b\\c' ? 'a\\cb\\\\c' : value])),
        ],
      },
      wrong('d', 'a\\tb', 'a backslash and another letter'),
      wrong('e', 'ab\\', 'a backslash at the end'),
      ...only(version, ['1.1'], () => wrong('f', 'a\\rb', '`\\r` is one of 1.2 only')),
      {
        id: id('g'),
        level: 'must',
        says: 'Spaces around names and values of headers belong to them: a server does not trim.',
        how: 'A header ` key ` of the value `  value  `, from SEND to MESSAGE.',
        async run(trial) {
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial))
          wire.send('SEND', { destination: queueOf(trial), ' key ': '  value  ' }, 'body')
          mustEqual(header(await wire.next('MESSAGE'), ' key '), '  value  ', 'the header ` key ` of MESSAGE')
        },
        mutants: [
          changes('trims values', 'MESSAGE', (frame) => mapHeaders(frame, ([name, value]) => [name, value.trim()])),
          changes('trims names', 'MESSAGE', (frame) => mapHeaders(frame, ([name, value]) => [name.trim(), value])),
        ],
      },
      {
        id: id('h'),
        level: 'must',
        says: 'A server does not pad the headers that it writes.',
        how: 'CONNECTED, RECEIPT and MESSAGE: what the values must equal has no space around it.',
        async run(trial) {
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial))
          await fill(wire, queueOf(trial), ['body'])
          const message = await wire.next('MESSAGE')
          mustEqual(header(message, 'subscription'), 'sub', 'the header subscription of MESSAGE')
        },
        mutants: [
          changes('pads MESSAGE', 'MESSAGE', (frame) => mapHeaders(frame, ([name, value]) => [name, ` ${value}`])),
          changes('pads RECEIPT', 'RECEIPT', (frame) => mapHeaders(frame, ([name, value]) => [name, ` ${value}`])),
        ],
      },
      {
        id: id('i'),
        level: 'must',
        says: 'CONNECT is not escaped: a backslash in it stands for itself.',
        how: 'CONNECT with a header whose value holds what would be no escape.',
        async run(trial) {
          const wire = await StompWire.open(trial, version)
          wire.send('CONNECT', connectHeaders(trial, version, { 'x-note': 'a\\tb\\' }))
          await wire.next('CONNECTED')
          await fill(wire, queueOf(trial), ['body'])
        },
        mutants: [errs('CONNECTED'), never('CONNECTED')],
      },
    ],
  }
}

export function bodies(version: Version): Chapter {
  const id = numbered(version, 'BODY')
  const length = numbered(version, 'LENGTH')
  const bytes = Buffer.from([0, 1, 0, 255, 10, 0])
  return {
    title: 'Body, content-length, content-type',
    clauses: [
      {
        id: id('a'),
        level: 'must',
        says: 'Of a server’s frames only MESSAGE and ERROR have a body.',
        how: 'CONNECTED and RECEIPT are looked at.',
        async run(trial) {
          const wire = await connected(trial, version)
          const receipt = await wire.call('SEND', { destination: queueOf(trial) }, 'body')
          mustEqual(receipt.body.length, 0, 'the length of the body of RECEIPT')
        },
        mutants: [changes('writes a body into RECEIPT', 'RECEIPT', (frame) => ({ ...frame, body: Buffer.from('done') }))],
      },
      ...only(version, ['1.2', '1.1'], () => ({
        id: id('b'),
        level: 'must',
        says: 'Only SEND, MESSAGE and ERROR may have a body.',
        unchecked: 'What a server does with a body of another frame of a client is not said.',
      })),
      {
        id: length('a'),
        level: version === '1.0' ? 'should' : 'must',
        says: 'With a content-length so many octets are read, NULs among them or not.',
        how: 'SEND of a body that begins with NUL, holds two and ends with one, to a subscriber.',
        async run(trial) {
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial))
          wire.send('SEND', { destination: queueOf(trial), 'content-length': String(bytes.length) }, bytes)
          const { body } = await wire.next('MESSAGE')
          mustBe(body.equals(bytes), `the body that came is ${body.toString('hex')} where ${bytes.toString('hex')} was sent`)
        },
        mutants: [
          changes('ends a body at its first NUL', 'MESSAGE', (frame) => ({ ...withHeader(frame, 'content-length', '0'), body: Buffer.alloc(0) })),
          takes('ends a body at its first NUL when it reads', 'SEND', (frame) => ({
            ...withHeader(frame, 'content-length', '0'),
            body: Buffer.alloc(0),
          })),
        ],
      },
      {
        id: length('b'),
        level: version === '1.0' ? 'should' : 'must',
        says: 'A body that holds NULs has a content-length in MESSAGE.',
        how: 'SEND of a body with NULs; the header of MESSAGE.',
        async run(trial) {
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial))
          wire.send('SEND', { destination: queueOf(trial), 'content-length': '3' }, Buffer.from([65, 0, 66]))
          mustEqual(header(await wire.next('MESSAGE'), 'content-length'), '3', 'the content-length of MESSAGE')
        },
        mutants: [
          changes('leaves content-length out', 'MESSAGE', (frame) => ({
            ...frame,
            headers: frame.headers.filter(([name]) => name !== 'content-length'),
            body: Buffer.from('A'),
          })),
        ],
      },
      {
        id: length('c'),
        level: 'must',
        says: 'The content-length counts octets, and not letters.',
        how: 'SEND of a body of letters of several bytes with its content-length, then a receipt.',
        async run(trial) {
          const body = Buffer.from('ä€😀')
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial))
          await wire.call('SEND', { destination: queueOf(trial), 'content-length': String(body.length) }, body)
          mustEqual((await wire.next('MESSAGE')).body.toString(), 'ä€😀', 'the body of MESSAGE')
        },
        mutants: [
          takes('counts letters', 'SEND', (frame) => ({ ...withHeader(frame, 'content-length', '3'), body: frame.body.subarray(0, 3) })),
          changes('counts letters when it writes', 'MESSAGE', (frame) => withHeader(frame, 'content-length', '4')),
        ],
      },
      {
        id: length('d'),
        level: 'must',
        says: 'Without a content-length a body ends with the first NUL.',
        how: 'Two SENDs without content-length in one piece, the second with a receipt.',
        async run(trial) {
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial))
          const send = (body: string): string => `SEND\ndestination:${queueOf(trial)}\n\n${body}\0`
          wire.bytes(send('one') + send('two'))
          await receive(wire, ['one', 'two'])
        },
        mutants: [changes('reads on behind the NUL', 'MESSAGE', (frame) => (frame.body.toString() === 'two' ? 'drop' : undefined))],
      },
      {
        id: length('e'),
        level: 'should',
        says: 'A body of the length that was told is followed by NUL all the same: a frame without it is none, which is an ERROR or the end of the connection.',
        how: 'SEND with a content-length that is two too small.',
        async run(trial) {
          const wire = await connected(trial, version)
          wire.bytes(`SEND\ndestination:${queueOf(trial)}\ncontent-length:3\n\nhello\0`)
          await wire.refusedOrClosed('after a body that is longer than its content-length')
        },
        mutants: [bears],
      },
      {
        id: length('f'),
        level: 'should',
        says: 'A MESSAGE with a body has a content-length.',
        how: 'SEND of a body with content-length to a subscriber.',
        async run(trial) {
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial))
          wire.send('SEND', { destination: queueOf(trial), 'content-length': '4' }, 'body')
          mustEqual(header(await wire.next('MESSAGE'), 'content-length'), '4', 'the content-length of MESSAGE')
        },
        mutants: [
          changes('leaves content-length out', 'MESSAGE', (frame) => ({
            ...frame,
            headers: frame.headers.filter(([name]) => name !== 'content-length'),
          })),
        ],
      },
      {
        id: length('g'),
        level: 'should',
        says: 'A MESSAGE with a body has a content-length also where its SEND had none.',
        how: 'SEND of a body without content-length to a subscriber.',
        async run(trial) {
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial))
          wire.send('SEND', { destination: queueOf(trial) }, 'body')
          mustEqual(header(await wire.next('MESSAGE'), 'content-length'), '4', 'the content-length of MESSAGE')
        },
        mends: changes('adds a content-length', 'MESSAGE', (frame) => withHeader(frame, 'content-length', String(frame.body.length))),
        mutants: [],
      },
      ...only(version, ['1.2', '1.1'], () => ({
        id: numbered(version, 'TYPE')('a'),
        level: 'should',
        says: 'A MESSAGE with a body has a content-type; what the sender said it is, it is.',
        how: 'SEND with `content-type:application/xml;charset=utf-8` to a subscriber.',
        async run(trial) {
          const type = 'application/xml;charset=utf-8'
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial))
          wire.send('SEND', { destination: queueOf(trial), 'content-type': type }, '<a/>')
          mustEqual(header(await wire.next('MESSAGE'), 'content-type'), type, 'the content-type of MESSAGE')
        },
        mutants: [says('MESSAGE', 'content-type', 'text/plain')],
      })),
    ],
  }
}

export function repeatedAndLimits(version: Version): Chapter {
  const repeated = numbered(version, 'REPEAT')
  const limit = numbered(version, 'LIMIT')
  /** What is too much for the server is refused by ERROR; what is not, is taken. */
  const bound = (letter: string, what: string, of: (queue: string) => string): Clause => ({
    id: limit(letter),
    level: 'should',
    says: `${what} beyond a server’s limit: an ERROR, then the end of the connection.`,
    how: `SEND with ${what.toLowerCase()}: taken, or refused.`,
    async run(trial) {
      const wire = await connected(trial, version)
      wire.bytes(of(queueOf(trial)))
      const answer = await wire.inbox.next('RECEIPT or ERROR')
      if (answer === undefined) fail('the connection was closed without an ERROR')
      if (answer.command === 'ERROR') await wire.closed('after ERROR')
      else mustEqual(answer.command, 'RECEIPT', 'the answer')
    },
    mutants: [changes('closes without a word', ['ERROR', 'RECEIPT'], () => 'close')],
  })
  return {
    title: 'Repeated headers, size limits',
    clauses: [
      {
        id: repeated('a'),
        level: 'should',
        says: 'Of a header that is repeated the first counts.',
        how: 'SEND with two receipts.',
        async run(trial) {
          const wire = await connected(trial, version)
          wire.send(
            'SEND',
            [
              ['destination', queueOf(trial)],
              ['receipt', 'first'],
              ['receipt', 'second'],
            ],
            'body',
          )
          mustEqual(header(await wire.next('RECEIPT'), 'receipt-id'), 'first', 'the receipt-id')
        },
        mutants: [takes('lets the last count', 'SEND', (frame) => ({ ...frame, headers: frame.headers.toReversed() }))],
      },
      {
        id: repeated('b'),
        level: 'should',
        says: 'Of a repeated header the subscriber reads the first value first.',
        how: 'SEND with `foo:World` and `foo:Hello` to a subscriber.',
        async run(trial) {
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial))
          wire.send(
            'SEND',
            [
              ['destination', queueOf(trial)],
              ['foo', 'World'],
              ['foo', 'Hello'],
            ],
            'body',
          )
          mustEqual(header(await wire.next('MESSAGE'), 'foo'), 'World', 'the first header foo of MESSAGE')
        },
        mutants: [changes('lets the last count', 'MESSAGE', (frame) => ({ ...frame, headers: frame.headers.toReversed() }))],
      },
      bound('a', '5,000 headers', (queue) => {
        const many = Array.from({ length: 5000 }, (_, i) => `header${i}:v\n`).join('')
        return `SEND\ndestination:${queue}\nreceipt:many\n${many}\nbody\0`
      }),
      bound('b', 'A header of 128 KiB', (queue) => `SEND\ndestination:${queue}\nreceipt:long\nheader:${'v'.repeat(128 * 1024)}\n\nbody\0`),
      bound(
        'c',
        'A body of 20 MiB',
        (queue) => `SEND\ndestination:${queue}\nreceipt:big\ncontent-length:${20 * 1024 * 1024}\n\n${'b'.repeat(20 * 1024 * 1024)}\0`,
      ),
    ],
  }
}
