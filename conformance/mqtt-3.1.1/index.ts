import type { Suite } from '../check.ts'
import { connect } from './connect.ts'

export const mqtt311: Suite = {
  name: 'mqtt-3.1.1',
  title: 'MQTT 3.1.1',
  specification: 'https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html',
  protocols: ['mqtt'],
  chapters: [connect],
}
