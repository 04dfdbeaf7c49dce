// Global set-up of the suites: they run the built program, so it is built first when a source is newer.
import { buildIfStale } from '../../scripts/set-up.mjs'

export default function setup(): void {
  buildIfStale({ quiet: true })
}
