// "Connecting" and "Protocol negotiation".
import type { Chapter } from '../check.ts'
import { header, type Version } from '../clients/stomp-frame.ts'
import { StompWire, told } from '../clients/stomp-wire.ts'
import { fail, mustBe, mustEqual, notSupported, skip } from '../outcome.ts'
import { mutant, neverCloses } from '../mutant.ts'
import { bears, changes, closesSilently, errs, lacks, never, says, takes, withHeader } from './mutants.ts'
import { connectHeaders, connecting, fill, leave, numbered, only, queueOf } from './session.ts'

export function connectChapter(version: Version): Chapter {
  const id = numbered(version, 'CONNECT')
  return {
    title: 'Connecting',
    clauses: [
      {
        id: id('a'),
        level: 'must',
        says: 'A connection that is accepted is answered by CONNECTED.',
        how: `CONNECT of ${version}.`,
        async run(trial) {
          const wire = await StompWire.open(trial, version)
          wire.send('CONNECT', connectHeaders(trial, version))
          await wire.next('CONNECTED')
        },
        mutants: [never('CONNECTED'), errs('CONNECTED')],
      },
      ...only(version, ['1.2', '1.1'], () => ({
        id: id('b'),
        level: version === '1.2' ? 'must' : 'should',
        says: 'STOMP is handled as CONNECT is.',
        how: 'STOMP instead of CONNECT, then a SEND with a receipt.',
        async run(trial) {
          const wire = await StompWire.open(trial, version)
          wire.send('STOMP', connectHeaders(trial, version))
          mustEqual(header(await wire.next('CONNECTED'), 'version'), version, 'the version of CONNECTED')
          await fill(wire, queueOf(trial), ['body'])
        },
        mutants: [errs('CONNECTED'), takes('does not know STOMP', 'STOMP', () => 'close')],
      })),
      ...only(version, ['1.2', '1.1'], () => ({
        id: id('c'),
        level: 'should',
        says: 'A connection that is refused is told so by ERROR, and closed.',
        how: 'CONNECT with a passcode that is wrong.',
        async run(trial) {
          if (trial.user === undefined) skip('the target has no user')
          const wire = await StompWire.open(trial, version)
          wire.send('CONNECT', connectHeaders(trial, version, { passcode: 'this is wrong' }))
          const answer = await wire.inbox.next('an answer to CONNECT')
          if (answer === undefined) fail('the connection was closed without an ERROR')
          if (answer.command === 'CONNECTED') skip('who has a wrong passcode is let in without a name')
          await wire.closed('after a wrong passcode')
        },
        mutants: [neverCloses, closesSilently],
      })),
      {
        id: id('d'),
        level: version === '1.0' ? 'should' : 'must',
        says: 'Before CONNECT nothing else is served: a SEND cannot be processed, which is an ERROR or the end of the connection.',
        how: 'SEND as the first frame, with a receipt.',
        async run(trial) {
          const wire = await StompWire.open(trial, version)
          wire.send('SEND', { destination: queueOf(trial), receipt: 'early' }, 'body')
          const came = await wire.refusedOrClosed('after a SEND before CONNECT')
          mustBe(!came.some(({ command }) => command === 'RECEIPT'), 'the SEND got its RECEIPT')
        },
        mutants: [bears],
      },
      {
        id: id('e'),
        level: 'may',
        says: 'A host that the server does not know leads to its default host, or is refused.',
        unchecked: 'Both are allowed, and so is a server without virtual hosts.',
      },
      {
        id: id('f'),
        level: 'must',
        says: 'Clients that come and go rapidly are served.',
        how: 'Forty connections one after another, each with CONNECT, SEND and DISCONNECT.',
        async run(trial) {
          for (let i = 0; i < 40; i++) {
            const { wire } = await connecting(trial, version)
            wire.send('SEND', { destination: queueOf(trial) }, 'body')
            await leave(wire)
          }
        },
        mutants: [
          {
            says: 'has had enough after twenty connections',
            start: () => {
              let connections = 0
              return () => (++connections > 20 ? { toBroker: () => 'close' } : {})
            },
          },
        ],
      },
    ],
  }
}

export function connectedFrame(version: Version): Chapter {
  const id = numbered(version, 'CONNECTED')
  return {
    title: 'CONNECTED',
    clauses: [
      {
        id: id('a'),
        level: 'must',
        says: 'CONNECTED says by which version the session goes on.',
        how: `CONNECT of ${version}; the header version of CONNECTED.`,
        async run(trial) {
          const { connected } = await connecting(trial, version)
          mustEqual(header(connected, 'version'), version, 'the version of CONNECTED')
        },
        mutants: [lacks('CONNECTED', 'version'), says('CONNECTED', 'version', '2.0')],
      },
      {
        id: id('b'),
        level: 'must',
        says: 'If CONNECTED has a header server, it is a name, perhaps `/` and a version, perhaps comments behind spaces.',
        how: 'The header server of CONNECTED.',
        async run(trial) {
          const { connected } = await connecting(trial, version)
          const server = header(connected, 'server')
          if (server !== undefined && !/^[^\s/]+(\/[^\s/]+)?( .*)?$/.test(server)) fail(`the header server is ${JSON.stringify(server)}`)
        },
        mutants: [says('CONNECTED', 'server', '/1.0'), says('CONNECTED', 'server', '')],
      },
      {
        id: id('c'),
        level: 'must',
        says: 'If CONNECTED has a header session, it is another for each session.',
        how: 'Two connections; their headers session.',
        async run(trial) {
          const first = header((await connecting(trial, version)).connected, 'session')
          const second = header((await connecting(trial, version)).connected, 'session')
          if (first !== undefined && first === second) fail(`both sessions are ${JSON.stringify(first)}`)
        },
        mutants: [says('CONNECTED', 'session', 'always-the-same')],
      },
      {
        id: id('d'),
        level: 'must',
        says: 'If CONNECTED has a header heart-beat, it is two numbers with a comma between them.',
        how: 'CONNECT with `heart-beat:1000,1000`; the header heart-beat of CONNECTED.',
        async run(trial) {
          const { connected } = await connecting(trial, version, { 'heart-beat': '1000,1000' })
          const beats = header(connected, 'heart-beat')
          if (beats !== undefined && !/^\d+,\d+$/.test(beats)) fail(`the header heart-beat is ${JSON.stringify(beats)}`)
        },
        mutants: [says('CONNECTED', 'heart-beat', '1000'), says('CONNECTED', 'heart-beat', '-1,0'), says('CONNECTED', 'heart-beat', '1000, 1000')],
      },
      {
        id: id('e'),
        level: 'must',
        says: 'CONNECTED is not escaped.',
        how: 'CONNECTED holds no escaped colon or line end.',
        async run(trial) {
          const { connected } = await connecting(trial, version)
          if (/\\[cnr]/.test(connected.raw.toString())) fail('CONNECTED holds an escape')
        },
        mutants: [says('CONNECTED', 'session', 'ID\\c1')],
      },
    ],
  }
}

export function negotiation(version: Version): Chapter {
  const id = numbered(version, 'VERSION')
  return {
    title: 'Protocol negotiation',
    clauses: [
      {
        id: id('a'),
        level: 'must',
        says: 'The highest version that both sides know is spoken, whatever else the client lists.',
        how: `CONNECT with \`accept-version\` of ${version}, lower ones and one that nobody knows.`,
        async run(trial) {
          const versions = ['1.0', '1.1', '1.2'].filter((each) => each <= version)
          const { connected } = await connecting(trial, version, { 'accept-version': [...versions, '9.9'].join(',') })
          mustEqual(header(connected, 'version'), version, 'the version of CONNECTED')
        },
        mutants: [says('CONNECTED', 'version', '1.0'), says('CONNECTED', 'version', '9.9')],
      },
      {
        id: id('b'),
        level: 'must',
        says: 'The order in which the client lists versions means nothing.',
        how: `CONNECT with \`accept-version\` of ${version} and lower ones, the highest first.`,
        async run(trial) {
          const versions = ['1.2', '1.1', '1.0'].filter((each) => each <= version)
          const { connected } = await connecting(trial, version, { 'accept-version': versions.join(',') })
          mustEqual(header(connected, 'version'), version, 'the version of CONNECTED')
        },
        mutants: [
          takes('takes the last of the list', 'CONNECT', (frame) =>
            withHeader(frame, 'accept-version', header(frame, 'accept-version')?.split(',').at(-1) ?? ''),
          ),
        ],
      },
      {
        id: id('c'),
        level: 'must',
        says: 'Without accept-version the client speaks 1.0 only.',
        how: 'CONNECT without accept-version: CONNECTED with `version:1.0` or without one, or a refusal by who does not speak it.',
        async run(trial) {
          const wire = await StompWire.open(trial, '1.0')
          wire.send('CONNECT', connectHeaders(trial, '1.0'))
          const answer = await wire.inbox.next('an answer to CONNECT')
          if (answer === undefined || answer.command === 'ERROR') notSupported(`1.0 is refused${answer === undefined ? '' : ` by ${told(answer)}`}`)
          mustEqual(header(answer, 'version') ?? '1.0', '1.0', 'the version of CONNECTED')
        },
        mutants: [says('CONNECTED', 'version', '1.2')],
      },
      {
        id: id('d'),
        level: 'should',
        says: 'Without a version in common the answer is ERROR, and the end of the connection.',
        how: 'CONNECT with `accept-version:9.9`.',
        async run(trial) {
          const wire = await StompWire.open(trial, version)
          wire.send('CONNECT', connectHeaders(trial, version, { 'accept-version': '9.9' }))
          const answer = await wire.inbox.next('an answer to CONNECT')
          mustEqual(answer?.command ?? 'the end of the connection', 'ERROR', 'the answer to CONNECT of 9.9')
          await wire.closed('after a CONNECT of 9.9')
        },
        mutants: [neverCloses, closesSilently, takes('speaks what it knows', 'CONNECT', (frame) => withHeader(frame, 'accept-version', version))],
      },
      {
        id: id('e'),
        level: 'should',
        says: 'That ERROR lists the versions of the server in a header version.',
        how: 'CONNECT with `accept-version:9.9`; the header version of ERROR.',
        async run(trial) {
          const wire = await StompWire.open(trial, version)
          wire.send('CONNECT', connectHeaders(trial, version, { 'accept-version': '9.9' }))
          const error = await wire.inbox.find((frame): frame is typeof frame => frame.command === 'ERROR', 'ERROR')
          const versions = header(error, 'version')
          if (versions === undefined || !/^\d+\.\d+(, ?\d+\.\d+)*$/.test(versions)) fail(`the header version of ERROR is ${versions ?? 'not there'}`)
        },
        mutants: [lacks('ERROR', 'version'), says('ERROR', 'version', 'some')],
      },
    ],
  }
}

export function onceConnected(version: Version): Chapter {
  const id = numbered(version, 'ONCE')
  return {
    title: 'Once connected',
    clauses: [
      {
        id: id('a'),
        level: 'may',
        says: 'A frame of another command is answered by ERROR and the end of the connection, or the connection goes on.',
        how: 'A frame of a made-up command, then a SEND with a receipt.',
        async run(trial) {
          const { wire } = await connecting(trial, version)
          wire.send('DANCE', { destination: queueOf(trial) })
          wire.send('SEND', { destination: queueOf(trial), receipt: 'after' }, 'body')
          const answer = await wire.inbox.next('RECEIPT, ERROR or the end of the connection')
          // That the connection ends after ERROR is a clause of its own.
          if (answer !== undefined && answer.command !== 'ERROR') mustEqual(answer.command, 'RECEIPT', 'the answer')
        },
        mutants: [
          mutant('falls silent', () => ({ toClient: (raw) => (raw.includes('CONNECTED') ? undefined : []), brokerClosed: () => false })),
          changes('answers what nobody knows', ['ERROR', 'RECEIPT'], () => Buffer.from('CONNECTED\nversion:1.2\n\n\0')),
        ],
      },
    ],
  }
}
