// CONNECT and STOMP: negotiates the version and heart-beats, then logs in. `host` is accepted as it comes: there is one virtual host.
import { type Frame, header } from '../codec.ts'
import type { StompConnection } from '../connection.ts'
import type { Version } from '../escape.ts'
import { negotiate } from '../heart-beat.ts'

export function onConnect(connection: StompConnection, frame: Frame): void {
  if (connection.connected) {
    connection.fail({ code: 'invalid', sentence: 'The connection is made already: a second CONNECT is not allowed.' }, header(frame, 'receipt'))
    return
  }
  const accepted = header(frame, 'accept-version')
  const version = accepted === undefined ? '1.0' : bestOf(accepted)
  if (version === undefined) {
    connection.fail({ code: 'unsupported', sentence: 'None of the versions in accept-version is offered: they are 1.0, 1.1 and 1.2.' })
    return
  }
  // The examples of STOMP 1.0 write spaces around the colon.
  const read = (name: string): string | undefined => (version === '1.0' ? header(frame, name)?.trim() : header(frame, name))
  const { heartBeatSendMs, heartBeatReceiveMs } = connection.shared.settings
  const heartBeat = negotiate(version === '1.0' ? undefined : header(frame, 'heart-beat'), { sendMs: heartBeatSendMs, receiveMs: heartBeatReceiveMs })
  if (heartBeat === undefined) {
    connection.fail({ code: 'invalid', sentence: 'The header heart-beat is not two numbers with a comma between them.' })
    return
  }
  connection.open({ version, clientId: read('client-id') ?? '', heartBeat }, read('login'), read('passcode'))
}

/** The highest that both sides know. */
function bestOf(accepted: string): Version | undefined {
  const versions = accepted.split(',').map((version) => version.trim())
  return VERSIONS.find((version) => versions.includes(version))
}

const VERSIONS: readonly Version[] = ['1.2', '1.1', '1.0']
