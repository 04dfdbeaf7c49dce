// The suites, one line each, with the framing by which a proxy cuts their protocol.
import type { Suite } from './check.ts'
import { mqttFraming } from './clients/mqtt-framing.ts'
import type { Framing } from './mutant.ts'
import { mqtt311 } from './mqtt-3.1.1/index.ts'

export const suites: readonly Readonly<{ suite: Suite; framing: Framing }>[] = [{ suite: mqtt311, framing: mqttFraming }]
