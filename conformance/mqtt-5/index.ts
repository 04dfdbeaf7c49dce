import type { Suite } from '../check.ts'
import { data } from './data.ts'

export const mqtt5: Suite = {
  name: 'mqtt-5',
  title: 'MQTT 5.0',
  specification: 'https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html',
  protocols: ['mqtt'],
  chapters: [data],
}
