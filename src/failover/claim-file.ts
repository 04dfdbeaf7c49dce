// A claim: the file `epochs/<number>` that says who leads that epoch. Names and content; who may make one is `claim.ts`.
//
// Claims are never deleted and never renamed by a running node, whatever their age (rule 3): no function here does.
import { join } from 'node:path'
import { type Disk, codeOf, readWhole } from '../disk.ts'

export type ClaimFile = Readonly<{ node: string; address: string; nonce: string; startedMs: number }>

const DIGITS = 10

export const epochsIn = (directory: string): string => join(directory, 'epochs')

export const claimPath = (directory: string, epoch: number): string => join(epochsIn(directory), String(epoch).padStart(DIGITS, '0'))

/** The epoch that a name in `epochs/` stands for; undefined for temporary files and strangers. */
export function epochOf(name: string): number | undefined {
  return /^[0-9]{10,15}$/.test(name) ? Number(name) : undefined
}

export async function highestEpoch(disk: Disk, directory: string): Promise<number> {
  let highest = 0
  for (const name of await disk.list(epochsIn(directory))) highest = Math.max(highest, epochOf(name) ?? 0)
  return highest
}

export const encodeClaim = (claim: ClaimFile): Uint8Array => Buffer.from(`${JSON.stringify({ bascule: 'claim', ...claim })}\n`)

/** Undefined when the content is not a claim's: empty, cut short, or of something else. */
export function decodeClaim(bytes: Uint8Array): ClaimFile | undefined {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes).toString())
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { node, address, nonce, startedMs } = value as Partial<Record<keyof ClaimFile, unknown>>
  if (typeof node !== 'string' || typeof address !== 'string' || typeof nonce !== 'string' || typeof startedMs !== 'number') return undefined
  return { node, address, nonce, startedMs }
}

/** Undefined: not there, or not readable as a claim. */
export async function readClaim(disk: Disk, directory: string, epoch: number): Promise<ClaimFile | undefined> {
  try {
    return decodeClaim(await readWhole(disk, claimPath(directory, epoch), 64 * 1024))
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}
