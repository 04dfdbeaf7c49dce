// `bascule failover`: the leader hands over to a standby, as at a planned restart.
import { ask, managementUrl } from './management.ts'
import { readFlags } from './usage.ts'

const options = { url: { type: 'string' }, force: { type: 'boolean' } } as const

export async function failover(args: readonly string[]): Promise<number> {
  const { values } = readFlags(args, options, 0)
  const path = `/api/failover?force=${values.force ?? false}`
  const { epoch, successor } = await ask<Readonly<{ epoch: number; successor?: string }>>(managementUrl(values.url), 'POST', path)
  process.stdout.write(`handed over epoch ${epoch}${successor === undefined ? '' : `; ${successor} is warm and takes over`}\n`)
  return 0
}
